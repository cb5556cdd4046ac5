"""Tasks that blocking and async flows can use alike, each written once; and the logger of whoever calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from headrace import get_run_logger, task
from headrace.logging import get_logger
from headrace.tasks import Task
from headrace.utilities.asyncutils import twins

P = ParamSpec("P")
R = TypeVar("R")


def twin_tasks(fn: Callable[P, R], name: str) -> tuple[Task[P, R], Task[P, Any]]:
    """Make the two tasks of a function that blocks: `read, aread = twin_tasks(_read, "read")`. The second is awaited and works in a thread."""
    fn.__name__ = fn.__qualname__ = name
    _, waiting = twins(fn)
    return task(fn), task(waiting)


def logger() -> Any:
    """Return the run's logger, or an ordinary one outside runs."""
    try:
        return get_run_logger()
    except RuntimeError:  # no run is active
        return get_logger("aws")
