"""How a task that blocks gets its twin for async flows."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ParamSpec, TypeVar

from headrace.tasks import Task, task
from headrace.utilities.asyncutils import twins

P = ParamSpec("P")
R = TypeVar("R")


def waiting(one: Task[P, R]) -> Task[P, Coroutine[Any, Any, R]]:
    """Return the twin of a task for async flows: it is awaited, works in a thread, and its name begins with `a`."""
    return task(persist_result=one.persist_result)(twins(one.fn)[1])
