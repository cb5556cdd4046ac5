"""Worker processes for tests that run flows on real infrastructure, and waiting for what becomes of the runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from headrace.client.orchestration import SyncHeadraceClient
from headrace.model import clock
from headrace.model.flow_runs import FlowRun

T = TypeVar("T")

SECONDS_MAX = 120.0
LOOK_SECONDS = 0.1
QUICK = {f"HEADRACE_WORKER_{name}_SECONDS": "1" for name in ("HEARTBEAT", "QUERY", "CANCELLATION_POLL")}


@contextmanager
def worker_processes(url: str, folder: Path) -> Generator[Callable[[str], subprocess.Popen[bytes]], None, None]:
    """Yield a function that starts `headrace worker start --pool pool --name NAME` against the API at `url`, and returns when it takes runs.

    Each worker has a home of its own, `folder / NAME`, and prints into `folder / "NAME.log"`. Those that still run when the block ends are killed.
    """
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "headrace", "worker", "start", "--pool", "pool", "--name", name]
        environment = {**os.environ, **QUICK, "HEADRACE_HOME": str(folder / name), "HEADRACE_API_URL": url}
        log = folder / f"{name}.log"
        with log.open("wb") as output:
            worker = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        started.append(worker)
        until(lambda: "started" in log.read_text(encoding="utf-8"))
        return worker

    try:
        yield start
    finally:
        for worker in started:
            worker.kill()
            worker.wait()


def until(look: Callable[[], T], seconds: float = SECONDS_MAX) -> T:
    """Look until there is something, and return it. Raises `TimeoutError` when nothing came about within `seconds`."""
    deadline = clock.monotonic() + seconds
    while not (found := look()):
        if clock.monotonic() > deadline:
            raise TimeoutError(f"What the test waits for did not come about within {seconds:g} seconds.")
        clock.sleep(LOOK_SECONDS)
    return found


def ended(client: SyncHeadraceClient, run_id: UUID) -> FlowRun:
    """Wait for the end of a run and return it."""

    def look() -> FlowRun | None:
        found = client.read_flow_run(run_id)
        return found if found.state is not None and found.state.is_final() else None

    found = until(look)
    assert found is not None
    return found


def in_state(client: SyncHeadraceClient, run_id: UUID, name: str) -> bool:
    """Say whether a run is in the state of that name now."""
    state = client.read_flow_run(run_id).state
    return state is not None and state.name == name
