"""Tasks and flows that are called the same way from blocking and from async code, as the documented examples do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar, cast

from headrace.context import FlowRunContext, TaskRunContext
from headrace.flows import Flow
from headrace.tasks import Task
from headrace.utilities.asyncutils import blocking, in_blocking_run, offload

P = ParamSpec("P")
R = TypeVar("R")


class EitherTask(Task[P, R]):
    """A task that blocks. Called where an event loop runs, it works in a thread and returns what is to be awaited."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, and return its value or what is to be awaited for it."""
        call = partial(super().__call__, *args, **kwargs)
        return call() if in_blocking_run() else offload(call)


class AwaitedTask(Task[P, R]):
    """The `a…` name of such a task: it always returns what is to be awaited."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, and return what is to be awaited for its value."""
        return offload(partial(super().__call__, *args, **kwargs))


class AsyncTask(Task[P, R]):
    """A task written once, as a coroutine function of what may wait either way. Called in a blocking run, it blocks and returns its value."""

    def __init__(self, fn: Callable[..., Any], **options: Any) -> None:
        super().__init__(fn, **options)
        self._blocking = Task(blocking(cast("Callable[..., Coroutine[Any, Any, Any]]", fn)), **{**options, "name": self.name})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, and return its value or what is to be awaited for it."""
        return self._blocking(*args, **kwargs) if is_in_blocking_run() else super().__call__(*args, **kwargs)


class AsyncFlow(Flow[P, R]):
    """A flow written once, as a coroutine function of what may wait either way. Called in a blocking run, it blocks and returns its value."""

    def __init__(self, fn: Callable[..., Any], **options: Any) -> None:
        super().__init__(fn, **options)
        self._blocking = Flow(blocking(cast("Callable[..., Coroutine[Any, Any, Any]]", fn)), **{**options, "name": self.name})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the flow, and return its value or what is to be awaited for it."""
        return self._blocking(*args, **kwargs) if is_in_blocking_run() else super().__call__(*args, **kwargs)


def is_in_blocking_run() -> bool:
    """Say whether the caller is a blocking flow or task: there, a value is wanted; `asyncio.run(the_flow())` wants a coroutine."""
    return in_blocking_run() and (FlowRunContext.get() is not None or TaskRunContext.get() is not None)


async def settled(value: Awaitable[R] | R) -> R:
    """Return a value that may have to be awaited."""
    return await cast("Awaitable[R]", value) if isawaitable(value) else cast("R", value)
