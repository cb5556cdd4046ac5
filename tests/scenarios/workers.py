"""What scenarios with workers stand on: a pool, deployments that wait in it, and workers as processes of their own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from headrace.client.orchestration import HeadraceClient
from headrace.exceptions import ObjectNotFound
from headrace.model import clock
from headrace.model.flow_runs import FlowRun
from headrace.model.work_pools import WorkPoolCreate
from headrace.states import State
from headrace.workers import ProcessWorker

POOL = "pool"
SECONDS_MAX = 40.0


async def start_worker(name: str, *options: str) -> subprocess.Popen[bytes]:
    """Start a worker and return when it takes runs."""
    command = [sys.executable, "-m", "headrace", "worker", "start", "--pool", POOL, "--name", name, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert b"started" in await asyncio.to_thread(process.stdout.readline)
    return process


async def deploy(client: HeadraceClient, folder: Path, entrypoint: str, **options: Any) -> UUID:
    """Make a deployment of a flow in a file of `folder`, called like the flow; the pool is made with the first."""
    try:
        await client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
    name = entrypoint.rpartition(":")[2]
    flow = await client.create_flow_from_name(name)
    return await client.create_deployment(flow_id=flow, name=name, work_pool_name=POOL, entrypoint=entrypoint, path=str(folder), **options)


def state_of(run: FlowRun) -> State[Any]:
    """Return the state of a run, which always has one."""
    assert run.state is not None
    return run.state


async def until(holds: Callable[[], Any], seconds_between: float = 0.05) -> Any:
    """Return the first true answer of `holds`, which may be a coroutine function; fail when there is none in time."""
    deadline = clock.monotonic() + SECONDS_MAX
    while clock.monotonic() < deadline:
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(seconds_between)
    raise AssertionError(f"This did not come about within {SECONDS_MAX} seconds.")


async def all_ended(client: HeadraceClient, runs: Sequence[UUID]) -> list[FlowRun]:
    """Wait until all these runs have ended, and return them; fail when one is left for long after the others."""
    left, ended = set(runs), dict[UUID, FlowRun]()
    deadline = clock.monotonic() + SECONDS_MAX
    while left:
        assert clock.monotonic() < deadline, [await client.read_flow_run(id) for id in left]
        for id in sorted(left):
            run = await client.read_flow_run(id)
            if state_of(run).is_final():
                ended[id] = run
                deadline = clock.monotonic() + SECONDS_MAX
        left -= ended.keys()
        await asyncio.sleep(0.2)
    return [ended[id] for id in runs]
