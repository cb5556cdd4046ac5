"""A run that a worker took is in the worker's name: nobody else goes on with it, and a dead worker's is given back."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.client.connect import current_client
from headrace.client.orchestration import HeadraceClient, get_client
from headrace.deploy.workers.claims import Claims
from headrace.model.endpoints.owners import CRASH_OWNED_RUNS
from headrace.model.flow_runs import FlowRun
from headrace.model.orchestration import SetStateStatus
from headrace.model.work_pools import WorkPoolCreate
from headrace.operations.runs.owners import crash_owned_runs
from headrace.settings import temporary_settings
from headrace.settings.environment import internal_name
from headrace.states import Completed, Crashed, InfrastructurePending, Running
from headrace.store.database import Database
from headrace.testing.server import running_server

Body = Callable[[HeadraceClient, FlowRun, Claims, Claims], Coroutine[Any, Any, None]]


def _with_a_run(body: Body) -> None:
    async def work() -> None:
        async with get_client() as client:
            deployment = await client.create_deployment(flow_id=await client.create_flow_from_name("f"), name="d")
            run = await client.create_flow_run_from_deployment(deployment)
            claims = [Claims(current_client(), logging.getLogger("test")) for _ in range(2)]
            await body(client, run, *claims)

    asyncio.run(work())


def test_one_of_two_claims_is_accepted() -> None:
    async def body(client: HeadraceClient, run: FlowRun, one: Claims, other: Claims) -> None:
        assert (await one.take(run)).status is SetStateStatus.ACCEPT
        assert (await other.take(run)).status is not SetStateStatus.ACCEPT
        assert (one.taken, other.taken) == ({run.id}, set())

    _with_a_run(body)


def test_a_run_that_was_seen_waiting_is_not_taken_once_another_has_run_it() -> None:
    async def body(client: HeadraceClient, run: FlowRun, one: Claims, other: Claims) -> None:
        await one.take(run.model_copy())
        await one.tell(run.id, Running())
        await one.tell(run.id, Completed())
        assert (await other.take(run)).status is not SetStateStatus.ACCEPT
        assert other.taken == set()
        assert [state.name for state in await client.read_flow_run_states(run.id)] == ["Scheduled", "Pending", "Running", "Completed"]

    _with_a_run(body)


def test_what_a_dead_worker_did_not_begin_is_scheduled_again_and_the_dead_cannot_go_on_with_it() -> None:
    async def body(client: HeadraceClient, run: FlowRun, dead: Claims, other: Claims) -> None:
        await dead.take(run)
        await current_client().call(CRASH_OWNED_RUNS, id=dead.owner)
        state = (await client.read_flow_run(run.id)).state
        assert state is not None
        assert state.is_scheduled()
        assert "waits for another" in (state.message or "")
        assert (await other.take(run)).status is SetStateStatus.ACCEPT
        refused = await dead.tell(run.id, InfrastructurePending())
        assert refused.status is SetStateStatus.ABORT
        assert "Another process" in (getattr(refused.details, "reason", "") or "")
        assert (await other.tell(run.id, InfrastructurePending())).status is SetStateStatus.ACCEPT

    _with_a_run(body)


def test_a_worker_that_slept_cannot_end_a_run_that_another_has_taken_since() -> None:
    async def body(client: HeadraceClient, run: FlowRun, slept: Claims, other: Claims) -> None:
        await slept.take(run)
        await current_client().call(CRASH_OWNED_RUNS, id=slept.owner)
        await other.take(run)
        state = await slept.end(run.id, Crashed(message="Its infrastructure ended."))
        assert state is not None and state.is_pending()
        assert (await client.read_flow_run(run.id)).state_type == "PENDING"
        await other.end(run.id, Crashed(message="Its infrastructure ended."))
        assert (await client.read_flow_run(run.id)).state_type == "CRASHED"

    _with_a_run(body)


def test_infrastructure_that_may_still_come_is_waited_for() -> None:
    async def body(client: HeadraceClient, run: FlowRun, dead: Claims, other: Claims) -> None:
        await dead.take(run)
        await dead.tell(run.id, InfrastructurePending())
        assert await current_client().call(CRASH_OWNED_RUNS, id=dead.owner) == 0
        assert (await client.read_flow_run(run.id)).state_name == "InfrastructurePending"

    _with_a_run(body)


def test_infrastructure_that_does_not_come_in_time_is_not_waited_for_and_the_run_is_scheduled_again(home: Path) -> None:
    async def body(client: HeadraceClient, run: FlowRun, dead: Claims, other: Claims) -> None:
        await dead.take(run)
        await dead.tell(run.id, InfrastructurePending())
        await dead.note_infrastructure(run.id, "machine-1")
        with Database(f"sqlite:///{home / 'headrace.db'}").write() as tx:
            assert crash_owned_runs(tx, id=dead.owner, patience=timedelta(0)) == 0
        found = await client.read_flow_run(run.id)
        assert found.state_type == "SCHEDULED"
        assert found.infrastructure_pid is None
        assert (await other.take(run)).status is SetStateStatus.ACCEPT

    _with_a_run(body)


def test_what_a_dead_worker_began_to_start_on_its_own_machine_is_not_waited_for() -> None:
    async def work() -> None:
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name="pool", type="process"))
            flow = await client.create_flow_from_name("f")
            run = await client.create_flow_run_from_deployment(await client.create_deployment(flow_id=flow, name="d", work_pool_name="pool"))
            dead = Claims(current_client(), logging.getLogger("test"))
            await dead.take(run)
            await dead.tell(run.id, InfrastructurePending())
            assert await current_client().call(CRASH_OWNED_RUNS, id=dead.owner) == 0
            assert (await client.read_flow_run(run.id)).state_type == "SCHEDULED"

    asyncio.run(work())


def test_a_run_that_no_worker_lives_to_begin_is_given_up_at_last() -> None:
    async def body(client: HeadraceClient, run: FlowRun, *_: Claims) -> None:
        crashed, taken = 0, 0
        while not crashed:
            dead = Claims(current_client(), logging.getLogger("test"))
            assert (await dead.take(run)).status is SetStateStatus.ACCEPT
            taken += 1
            crashed = await current_client().call(CRASH_OWNED_RUNS, id=dead.owner)
        state = (await client.read_flow_run(run.id)).state
        assert state is not None and state.is_crashed()
        assert state.message is not None and state.message.startswith(f"{taken} workers took this flow run and ended before it began.")

    _with_a_run(body)


LATE = """
from headrace import flow

@flow
def late():
    open("ran", "a").write("once ")
"""


@pytest.mark.parametrize("is_taken_again", [True, False])
def test_a_process_that_comes_late_leaves_a_run_alone_that_another_worker_has_taken(is_taken_again: bool, tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(LATE)

    async def work(url: str) -> str:
        async with get_client() as client:
            flow = await client.create_flow_from_name("late")
            run = await client.create_flow_run_from_deployment(await client.create_deployment(flow_id=flow, name="d"))
            dead, other = (Claims(current_client(), logging.getLogger("test")) for _ in range(2))
            await dead.take(run)
            told = {"FLOW_RUN_ID": str(run.id), "CLAIM": str(run.state_id), "FLOW_ENTRYPOINT": "late.py:late"}
            await dead.tell(run.id, InfrastructurePending())
            await dead.give_back(run.id, "The worker seems to be dead.")
            if is_taken_again:
                await other.take(run)
                await other.tell(run.id, InfrastructurePending())
            env = {**os.environ, "HEADRACE_API_URL": url, **{internal_name(name): value for name, value in told.items()}}
            command = [sys.executable, "-m", "headrace.engine"]
            process = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, timeout=60)
            assert process.returncode == 0, process.stderr
            assert ("Another process has taken this run" in process.stderr) is is_taken_again
            return (await client.read_flow_run(run.id)).state_name or ""

    with running_server() as url, temporary_settings({"HEADRACE_API_URL": url}):
        state = asyncio.run(work(url))
    assert (tmp_path / "ran").exists() is not is_taken_again
    assert state == ("InfrastructurePending" if is_taken_again else "Completed")


def test_a_run_is_given_back() -> None:
    async def body(client: HeadraceClient, run: FlowRun, one: Claims, other: Claims) -> None:
        await one.take(run)
        await one.give_back(run.id, "for another")
        assert one.taken == set()
        assert (await other.take(run)).status is SetStateStatus.ACCEPT

    _with_a_run(body)
