"""Tasks that blocking and async flows can use alike, each written once; and the logger of whoever calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

from headrace import get_run_logger
from headrace.logging import get_logger
from headrace.tasks import Task
from headrace.utilities.asyncutils import in_blocking_run, twins

P = ParamSpec("P")
R = TypeVar("R")


class TwinTask(Task[P, R]):
    """A task that blocks when it is called in a blocking flow, and is awaited in an async one, where it works in a thread."""

    awaited: Task[P, Any]
    """What it is where an event loop runs."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task here and return its value; in async flows, return what is to be awaited for it."""
        return super().__call__(*args, **kwargs) if in_blocking_run() else self.awaited(*args, **kwargs)

    def with_options(self, **options: Any) -> Self:
        """Return a copy with these options changed. See `Task.with_options`."""
        copy = super().with_options(**options)
        copy.awaited = self.awaited.with_options(**options)
        return copy


def twin_tasks(fn: Callable[P, R], name: str) -> tuple[TwinTask[P, R], Task[P, Any]]:
    """Make the two tasks of a function that blocks: `read, aread = twin_tasks(_read, "read")`. The second is always awaited."""
    fn.__name__ = fn.__qualname__ = name
    waiting = twins(fn)[1]
    found = TwinTask(fn)
    found.awaited = Task(waiting, name=name)
    return found, Task(waiting)


def logger() -> Any:
    """Return the run's logger, or an ordinary one outside runs."""
    try:
        return get_run_logger()
    except RuntimeError:  # no run is active
        return get_logger("azure")
