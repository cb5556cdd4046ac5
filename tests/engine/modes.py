"""What the engine's tests share: one body for blocking and async runs, what was stored, and programs in processes of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from inspect import isawaitable
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID

from headrace import flow, get_client, task
from headrace.client.bridge import drive
from headrace.client.recording import spool

PROGRAM_SECONDS_MAX = 30


class Mode:
    """Turns coroutine functions into blocking or async flows and tasks, so that one test body covers both kinds.

    Inside a body, call flows and tasks with `await mode.call(fn, …)`; outside, with `mode.run(fn, …)`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_async = name == "async"

    def function(self, afn: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function in this mode."""
        if self.is_async:
            return afn

        @wraps(afn)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            return drive(afn(*args, **kwargs))

        return blocking

    def flow(self, afn: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Decorate with `@flow`."""
        if afn is None:
            return lambda fn: flow(**options)(self.function(fn))
        return flow(self.function(afn))

    def task(self, afn: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Decorate with `@task`."""
        if afn is None:
            return lambda fn: task(**options)(self.function(fn))
        return task(self.function(afn))

    async def call(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a flow or task from within a body."""
        value = fn(*args, **kwargs)
        return await value if isawaitable(value) else value

    async def value(self, given: Any) -> Any:
        """Return what a blocking twin gave: in async runs it is an awaitable."""
        return await given if isawaitable(given) else given

    def run(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a flow or task from outside every run."""
        if not self.is_async:
            return fn(*args, **kwargs)
        return asyncio.run(self.call(fn, *args, **kwargs))


class Stored:
    """Reads back what was stored, through the documented client. Everything comes in the order in which it was made."""

    def __init__(self) -> None:
        self.client = get_client(sync_client=True)

    def flow_runs(self) -> list[Any]:
        """Return all flow runs."""
        spool().flush()
        return sorted(self.client.read_flow_runs(), key=lambda run: run.id)

    def flow_run(self) -> Any:
        """Return the only flow run."""
        (run,) = self.flow_runs()
        return run

    def task_runs(self) -> list[Any]:
        """Return all task runs."""
        spool().flush()
        return sorted(self.client.read_task_runs(), key=lambda run: run.id)

    def task_run(self, name: str | None = None) -> Any:
        """Return the only task run, or the one of this name."""
        (run,) = [run for run in self.task_runs() if name is None or run.name == name]
        return run

    def flow_states(self, flow_run_id: UUID | None = None) -> list[Any]:
        """Return the states of a flow run, or of the only one."""
        return self.client.read_flow_run_states(flow_run_id or self.flow_run().id)

    def flow_history(self, flow_run_id: UUID | None = None) -> list[str]:
        """Return the names of the states of a flow run, or of the only one."""
        return [state.name for state in self.flow_states(flow_run_id)]

    def task_states(self, name: str | None = None) -> list[Any]:
        """Return the states of the only task run, or of the one of this name."""
        return self.client.read_task_run_states(self.task_run(name).id)

    def task_history(self, name: str | None = None) -> list[str]:
        """Return the names of the states of the only task run, or of the one of this name."""
        return [state.name for state in self.task_states(name)]

    def logs(self) -> str:
        """Return the messages of all log lines."""
        spool().flush()
        return "\n".join(line.message for line in self.client.read_logs())


class Program:
    """A script in a process of its own, in the test's home."""

    def __init__(self, folder: Path, text: str) -> None:
        self.path = folder / "program.py"
        self.path.write_text(dedent(text))

    def start(self) -> subprocess.Popen[str]:
        """Start it; its output can be read while it runs."""
        return subprocess.Popen([sys.executable, str(self.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [sys.executable, str(self.path)], capture_output=True, text=True, timeout=PROGRAM_SECONDS_MAX, check=False, env=dict(os.environ)
        )
