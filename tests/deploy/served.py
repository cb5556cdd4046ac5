"""Scripts that serve flows, run as processes of their own against a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID

from headrace.client.orchestration import get_client
from headrace.model import clock
from headrace.model.flow_runs import FlowRun

SECONDS_MAX = 30.0


def until(holds: Callable[[], Any], seconds: float = SECONDS_MAX) -> Any:
    """Return the first true answer of `holds`; fail when there is none in time."""
    deadline = clock.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert clock.monotonic() < deadline, "this did not come about in time"
        clock.sleep(0.02)


class Served:
    """A script that serves flows; `lines` is what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def await_line(self, part: str) -> str:
        return until(lambda: next((line for line in self.lines if part in line), None))

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(SECONDS_MAX)
        self._reader.join(2)
        return status


@contextmanager
def serving(folder: Path, text: str, *words: str, **variables: str) -> Generator[Served]:
    """Run a script (or, with `words`, a module with arguments) in `folder` until the block ends."""
    script = folder / "flows.py"
    script.write_text(dedent(text))
    command = [sys.executable, "-u", *(words or [str(script)])]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables}, start_new_session=True
    )
    served = Served(process)
    try:
        served.await_line("being served")
        yield served
    finally:
        if process.poll() is None:
            served.stop(signal.SIGTERM)


def create_run(name: str, **options: Any) -> FlowRun:
    client = get_client(sync_client=True)
    return client.create_flow_run_from_deployment(client.read_deployment_by_name(name).id, **options)


def read_run(id: UUID) -> FlowRun:
    return get_client(sync_client=True).read_flow_run(id)


def ended(id: UUID) -> FlowRun:
    """Wait for the end of a run and return it."""

    def look() -> FlowRun | None:
        run = read_run(id)
        return run if run.state is not None and run.state.is_final() else None

    return until(look)


def running(id: UUID) -> FlowRun:
    """Wait until a run runs and return it."""

    def look() -> FlowRun | None:
        run = read_run(id)
        assert run.state is not None
        assert not run.state.is_final(), run.state
        return run if run.state.is_running() else None

    return until(look)
