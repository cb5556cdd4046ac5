"""A run that a worker took is in the worker's name: nobody else goes on with it, and a dead worker's is given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from headrace.client.connect import current_client
from headrace.client.orchestration import HeadraceClient, get_client
from headrace.deploy.workers.claims import Claims
from headrace.model.endpoints.owners import CRASH_OWNED_RUNS
from headrace.model.flow_runs import FlowRun
from headrace.model.orchestration import SetStateStatus
from headrace.states import InfrastructurePending

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


def test_infrastructure_that_may_still_come_is_waited_for() -> None:
    async def body(client: HeadraceClient, run: FlowRun, dead: Claims, other: Claims) -> None:
        await dead.take(run)
        await dead.tell(run.id, InfrastructurePending())
        assert await current_client().call(CRASH_OWNED_RUNS, id=dead.owner) == 0
        assert (await client.read_flow_run(run.id)).state_name == "InfrastructurePending"

    _with_a_run(body)


def test_a_run_is_given_back() -> None:
    async def body(client: HeadraceClient, run: FlowRun, one: Claims, other: Claims) -> None:
        await one.take(run)
        await one.give_back(run.id, "for another")
        assert one.taken == set()
        assert (await other.take(run)).status is SetStateStatus.ACCEPT

    _with_a_run(body)
