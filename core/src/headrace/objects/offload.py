"""How objects wait for functions that block: disk, network, other people's SDKs."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar

from headrace.client import bridge

R = TypeVar("R")


async def offload(fn: Callable[..., R], *args: Any) -> R:
    """Call a function that blocks: directly for a blocking caller, in a thread of the loop's pool for an async one."""
    if bridge.in_blocking_run():
        return fn(*args)
    import asyncio

    return await asyncio.to_thread(fn, *args)


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
