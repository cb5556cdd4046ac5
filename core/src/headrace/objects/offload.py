"""How objects wait for functions that block: disk, network, other people's SDKs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar

from headrace.client import bridge

P = ParamSpec("P")
R = TypeVar("R")


async def offload(fn: Callable[..., R], *args: Any) -> R:
    """Call a function that blocks: directly for a blocking caller, in a thread of the loop's pool for an async one."""
    if bridge.in_blocking_run():
        return fn(*args)
    import asyncio

    return await asyncio.to_thread(_without_loop, fn, *args)


def _without_loop(fn: Callable[..., R], *args: Any) -> R:
    """Call a function in a thread, which has no event loop: blocking twins within it block, whatever the run that it belongs to."""
    bridge.mode.set("blocking")  # of the thread's own copy of the context
    return fn(*args)


def twins(fn: Callable[P, R]) -> tuple[Callable[P, R], Callable[P, Coroutine[Any, Any, R]]]:
    """Make the two public names of a function or method that blocks: `read, aread = twins(_read)`.

    The second is awaited and does the work in a thread. The first blocks; where an event loop runs it returns what is to be awaited, as the
    documented interface promises. In a class: write `def read(…)`, then `read, aread = twins(read)` below it.
    """

    @wraps(fn)
    async def waiting(*args: P.args, **kwargs: P.kwargs) -> R:
        return await offload(partial(fn, *args, **kwargs))

    public = bridge.blocking(waiting)
    waiting.__name__ = f"a{fn.__name__}"
    waiting.__qualname__ = f"{fn.__qualname__.removesuffix(fn.__name__)}a{fn.__name__}"
    return public, waiting


async def call_either(fn: Callable[..., Any], *args: Any) -> Any:
    """Call a method that a subclass may have written blocking or async, and return its value."""
    from inspect import iscoroutinefunction

    if iscoroutinefunction(fn):
        coroutine = fn(*args)
        return bridge.run_awaitable(coroutine) if bridge.in_blocking_run() else await coroutine
    value = await offload(fn, *args)
    if isawaitable(value):
        return bridge.run_awaitable(value) if bridge.in_blocking_run() else await value
    return value
