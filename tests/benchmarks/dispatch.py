"""How fast runs that others create are started, in the interpreter of the program that is measured: prints one line of JSON.

    python dispatch.py PACKAGE (worker | serve) SINGLE AT_ONCE

With one idle process worker, or one process that serves the flow, of a running server (its API URL is in the environment):
`start_seconds`, from `create_flow_run` to Running, the median of SINGLE runs one after another; `all_seconds`, until AT_ONCE
runs that were created at once have ended.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

SCRIPT = """from {0} import flow

@flow
def nothing():
    pass

if __name__ == "__main__":
    nothing.serve(name="served", limit=100)
"""
PAUSE_SECONDS = 1.3
"""Between single runs: no multiple of any interval at which workers ask."""


@contextmanager
def running(*command: str) -> Iterator[None]:
    """Run a program meanwhile."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


async def ended(client: Any, runs: list[Any]) -> list[Any]:
    """Wait until the runs are final, and return them as they are then."""
    while True:
        found = [await client.read_flow_run(run.id) for run in runs]
        if all(run.state is not None and run.state.is_final() for run in found):
            return found
        await asyncio.sleep(0.02)


async def deployed(client: Any, way: str) -> Any:
    """Return the deployment's id, made for the worker, or once the served flow has made it."""
    if way == "worker":
        flow = await client.create_flow_from_name("nothing")
        return await client.create_deployment(
            flow_id=flow, name="worked", work_pool_name="pool", entrypoint="nothing.py:nothing", path=str(Path.cwd())
        )
    while True:
        for deployment in await client.read_deployments():
            if deployment.name == "served":
                return deployment.id
        await asyncio.sleep(0.1)


async def measure(package: str, way: str, single: int, at_once: int) -> dict[str, float]:
    """Measure against the server, beside a worker or a process that serves."""
    async with import_module(f"{package}.client.orchestration").get_client() as client:
        deployment = await deployed(client, way)
        await ended(client, [await client.create_flow_run_from_deployment(deployment)])  # it works, and is idle
        starts: list[float] = []
        for _ in range(single):
            await asyncio.sleep(PAUSE_SECONDS)
            (run,) = await ended(client, [await client.create_flow_run_from_deployment(deployment)])
            starts.append((run.start_time - run.created).total_seconds())
        began = time.monotonic()
        await ended(client, [await client.create_flow_run_from_deployment(deployment) for _ in range(at_once)])
        return {"start_seconds": statistics.median(starts), "all_seconds": time.monotonic() - began}


def main() -> None:
    package, way, single, at_once = sys.argv[1:]
    command = str(Path(sys.executable).parent / package)
    Path("nothing.py").write_text(SCRIPT.format(package))
    if way == "worker":
        subprocess.run([command, "work-pool", "create", "pool", "--type", "process"], check=True, stdout=subprocess.DEVNULL)
        program = (command, "worker", "start", "--pool", "pool")
    else:
        program = (sys.executable, "nothing.py")
    with running(*program):
        print(json.dumps(asyncio.run(measure(package, way, int(single), int(at_once)))))


if __name__ == "__main__":
    main()
