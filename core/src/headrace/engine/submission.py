"""A task run between `submit` and its end: prepared at once, started when everything it depends on has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from headrace.engine.dependencies import futures_in, is_plain, listed
from headrace.engine.futures import HeadraceFuture

if TYPE_CHECKING:
    from headrace.engine.task import Task


class Submission:
    """One submitted run. `record` exists from the start, so the future has an id before anything runs."""

    __slots__ = ("call", "dependencies", "record")

    def __init__(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[Any] | None,
        dependencies: Mapping[str, Any] | None = None,
    ) -> None:
        from headrace.engine.task_run import TaskCall

        self.call = TaskCall(task, parameters, listed(wait_for), dict(dependencies) if dependencies else None)
        self.record = self.call.record
        self.dependencies = self._futures()
        self.call.announce()

    def _futures(self) -> list[HeadraceFuture[Any]]:
        if is_plain(self.call.parameters) and not self.call.wait_for:
            return []
        return [future for future in futures_in(self.call.parameters, self.call.wait_for) if not future.done]

    def when_ready(self, start: Callable[[], None]) -> None:
        """Call `start` once, when every upstream run has ended; at once when there is none. No thread waits meanwhile."""
        if not self.dependencies:
            start()
            return
        left = count(len(self.dependencies) - 1, -1)  # `next` of a count is one step, so no two callbacks see the same number

        def ended(_: HeadraceFuture[Any]) -> None:
            if next(left) == 0:
                start()

        for future in self.dependencies:
            future.add_done_callback(ended)

    def resolve(self) -> bool:
        """Put values in the place of upstream runs, for a run that goes on elsewhere. Says whether it can start."""
        from headrace.client.bridge import drive
        from headrace.client.recording import spool
        from headrace.engine.ports import BLOCKING
        from headrace.engine.task_run import prepare

        ready = drive(prepare(self.call, BLOCKING))
        if not ready:
            spool().close_record(self.record)
        return ready

    def cancel(self, future: HeadraceFuture[Any]) -> None:
        """Record that the run was cancelled before it began, and finish the future."""
        from headrace.client.recording import spool

        self.record.enter("CANCELLED", "Cancelled", "The task runner cancelled this run before it began.")
        spool().close_record(self.record)
        future.finish()

    def run_here(self, future: HeadraceFuture[Any]) -> None:
        """Run the task in this thread and finish the future, whatever happens."""
        from headrace.engine.task_run import run_submitted

        try:
            run_submitted(self.call)
        finally:
            future.finish()
