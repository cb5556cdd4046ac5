"""Runs that are cancelled: all their processes end, with what they started and the runs that they asked for, and their slots are free again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from headrace.client.orchestration import HeadraceClient, get_client
from headrace.client.schemas.filters import FlowRunFilter
from headrace.model.flow_runs import FlowRun
from headrace.settings import temporary_settings
from headrace.states import Cancelling
from headrace.testing.server import server_process
from scenarios.workers import all_ended, deploy, start_worker, state_of, until

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(120)]

QUICK = {
    "HEADRACE_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "0.5",
    "HEADRACE_WORKER_QUERY_SECONDS": "2",
    "HEADRACE_RUNNER_POLL_FREQUENCY": "2",
}
FLOWS = """
import os, subprocess, time
from pathlib import Path
from headrace import flow, serve, task
from headrace.deployments import run_deployment

FOLDER = Path(__file__).parent

def note(name):
    stubborn = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600"])
    (FOLDER / f"{name}.new").write_text(f"{os.getpid()} {stubborn.pid}")
    (FOLDER / f"{name}.new").rename(FOLDER / f"{name}.pids")

@task
def long(name):
    note(name)
    time.sleep(600)

@flow
def child():
    long("child")

@flow
def inner():
    run_deployment("child/child")

@flow
def parent():
    note("parent")
    inner()

@flow
def slow():
    (FOLDER / "ran").touch()

if os.environ.get("HEADRACE__FLOW_RUN_ID") and (FOLDER / "slow").exists():
    note("loading")
    time.sleep(600)

if __name__ == "__main__":
    deployments = [flow.to_deployment(flow.name, concurrency_limit=1) for flow in (child, parent, slow)]
    serve(*deployments)
"""

Body = Callable[[HeadraceClient, Path], Coroutine[Any, Any, None]]
Cancelled = Callable[[Body], None]


@pytest.fixture(params=["worker", "serve"])
def at_work(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cancelled:
    """Run a test's body while a server is there and somebody who starts runs: a worker, or a script that serves the flows."""
    (tmp_path / "flows.py").write_text(FLOWS)

    def run(body: Body) -> None:
        for name, value in QUICK.items():
            monkeypatch.setenv(name, value)
        with server_process() as server, ExitStack() as held:
            monkeypatch.setenv("HEADRACE_API_URL", server.url)
            with temporary_settings({"HEADRACE_API_URL": server.url}):
                asyncio.run(_work(held, request.param, body, tmp_path))

    return run


async def _work(held: ExitStack, who: str, body: Body, folder: Path) -> None:
    async with get_client() as client:
        if who == "worker":
            for name in ("child", "parent", "slow"):
                await deploy(client, folder, f"flows.py:{name}", concurrency_limit=1)
            process = await start_worker("only")
        else:
            process = subprocess.Popen([sys.executable, "flows.py"], cwd=folder, stdout=subprocess.PIPE)
            assert process.stdout is not None
            while b"being served" not in await asyncio.to_thread(process.stdout.readline):
                pass
        held.callback(process.kill)
        await body(client, folder)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
        noted = [int(pid) for path in folder.glob("*.pids") for pid in path.read_text().split()]
        await until(lambda: not any(map(_is_alive, noted)))


async def _run_of(client: HeadraceClient, name: str) -> FlowRun:
    deployment = await client.read_deployment_by_name(f"{name}/{name}")
    return await client.create_flow_run_from_deployment(deployment.id)


async def _pids(folder: Path, name: str) -> list[int]:
    path = folder / f"{name}.pids"
    await until(path.exists)
    return [int(pid) for pid in path.read_text().split()]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def _cancelled(client: HeadraceClient, id: UUID, pids: list[int]) -> FlowRun:
    """Cancel a run; return it when it has ended, its processes are gone and its deployment has its slot again."""
    await client.set_flow_run_state(id, Cancelling())
    [run] = await all_ended(client, [id])
    await until(lambda: not any(map(_is_alive, pids)))
    assert run.deployment_id is not None
    await until(lambda: _is_free(client, run.deployment_id))
    return run


async def _is_free(client: HeadraceClient, deployment: UUID | None) -> bool:
    limit = await client.read_global_concurrency_limit_by_name(f"deployment:{deployment}")
    return limit.active_slots == 0


def test_cancelled_run_ends_with_all_it_started(at_work: Cancelled) -> None:
    async def body(client: HeadraceClient, folder: Path) -> None:
        run = await _run_of(client, "child")
        pids = await _pids(folder, "child")
        assert state_of(await _cancelled(client, run.id, pids)).is_cancelled()
        [task] = await client.read_task_runs(flow_run_filter=_with_id(run.id))
        assert task.state is not None and task.state.is_final() and not task.state.is_completed()

    at_work(body)


def test_run_whose_process_has_not_got_to_it_yet_is_cancelled(at_work: Cancelled) -> None:
    async def body(client: HeadraceClient, folder: Path) -> None:
        (folder / "slow").touch()
        run = await _run_of(client, "slow")
        pids = await _pids(folder, "loading")
        assert state_of(await client.read_flow_run(run.id)).is_pending()
        ended = await _cancelled(client, run.id, pids)  # though the file, which a served run's hooks are looked for in, hangs again
        (folder / "slow").unlink()
        assert state_of(ended).is_cancelled()
        assert not (folder / "ran").exists()
        [after] = await all_ended(client, [(await _run_of(client, "slow")).id])
        assert state_of(after).is_completed()

    at_work(body)


def test_runs_cancelled_the_moment_they_are_taken_never_run(at_work: Cancelled) -> None:
    async def body(client: HeadraceClient, folder: Path) -> None:
        for _ in range(3):
            run = await _run_of(client, "slow")
            await until(lambda id=run.id: _is_taken(client, id), 0)
            state = state_of(await _cancelled(client, run.id, []))
            assert state.is_cancelled() or (state.is_completed() and (folder / "ran").exists()), state
            (folder / "ran").unlink(missing_ok=True)

    at_work(body)


async def _is_taken(client: HeadraceClient, id: UUID) -> bool:
    return not state_of(await client.read_flow_run(id)).is_scheduled()


def test_cancelled_parent_takes_the_runs_that_it_asked_for_with_it(at_work: Cancelled) -> None:
    async def body(client: HeadraceClient, folder: Path) -> None:
        run = await _run_of(client, "parent")
        pids = await _pids(folder, "parent") + await _pids(folder, "child")
        assert state_of(await _cancelled(client, run.id, pids)).is_cancelled()
        everything = await client.read_flow_runs()
        assert len(everything) == 3
        for ended in await all_ended(client, [one.id for one in everything]):
            assert state_of(ended).is_cancelled(), (ended.name, ended.state)
        [child] = [one for one in everything if one.deployment_id not in (None, run.deployment_id)]
        await until(lambda: _is_free(client, child.deployment_id))

    at_work(body)


def _with_id(id: UUID) -> FlowRunFilter:
    return FlowRunFilter.model_validate({"id": {"any_": [id]}})
