"""Between blocking callers and coroutines that never suspend. The only place that looks for a running event loop.

Bodies are written once, as `async def` over ports. For a blocking caller the ports never wait by suspending, so `drive`
finishes the coroutine with a single `send`; for an async caller the same coroutine is awaited.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

from headrace.model import clock

P = ParamSpec("P")
R = TypeVar("R")

Mode = Literal["blocking", "async"]

mode: ContextVar[Mode | None] = ContextVar("headrace_mode", default=None)
"""How the code that runs now may wait: set by the engine around user functions and by `drive` around coroutines."""


class WouldSuspend(RuntimeError):
    """A blocking run came to something that can only be awaited."""


def loop_is_running() -> bool:
    """Say whether an event loop runs in this thread."""
    events = sys.modules.get("asyncio.events")  # not imported: no loop runs, and importing it would cost 30 ms
    return events is not None and events._get_running_loop() is not None


def in_blocking_run() -> bool:
    """Say whether waiting must block: inside `drive`, inside a blocking run, or with no loop in this thread."""
    now = mode.get()
    return now == "blocking" or (now is None and not loop_is_running())


def drive(coroutine: Coroutine[Any, Any, R]) -> R:
    """Finish a coroutine that never suspends, and return its value. Raises `WouldSuspend` when it tries to wait."""
    token = mode.set("blocking")
    try:
        waiting = coroutine.send(None)
    except StopIteration as done:
        return done.value
    finally:
        mode.reset(token)
    coroutine.close()
    raise WouldSuspend(f"A blocking call tried to wait for {waiting!r}. Call its async twin from async code instead.")


async def asleep(seconds: float) -> None:
    """Wait: by blocking this thread in a blocking run, by giving way to the event loop otherwise."""
    if in_blocking_run():
        clock.sleep(seconds)
        return
    import asyncio

    await asyncio.sleep(seconds)


def drive_iter(generator: AsyncGenerator[R, None]) -> Generator[R, None, None]:
    """Iterate an async generator that never suspends."""
    try:
        while True:
            try:
                value = drive(generator.__anext__())  # pyright: ignore[reportArgumentType]  # a coroutine in all but name
            except StopAsyncIteration:
                return
            yield value
    finally:
        drive(generator.aclose())  # pyright: ignore[reportArgumentType]  # a coroutine, though typed as awaitable


def blocking(afn: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Make the blocking twin of a coroutine function (or of a classmethod of one): `load = blocking(aload)`.

    Inside a blocking run, or where no event loop runs, the twin returns the value. Inside an async run, and outside runs while an
    event loop runs in this thread, it returns the coroutine, to be awaited, as the documented interface promises.
    """
    if isinstance(afn, classmethod):
        return classmethod(blocking(afn.__func__))  # type: ignore[return-value]  # a classmethod is called like its function

    @wraps(afn)
    def twin(*args: P.args, **kwargs: P.kwargs) -> R:
        if in_blocking_run():
            return drive(afn(*args, **kwargs))
        return afn(*args, **kwargs)  # type: ignore[return-value]  # documented: an awaitable inside an event loop

    return twin


def run_awaitable(awaitable: Awaitable[R]) -> R:
    """Finish a user's awaitable (as an async hook on a blocking run) on a private event loop in a thread of its own if need be."""
    import asyncio

    async def finish() -> R:
        token = mode.set("async")
        try:
            return await awaitable
        finally:
            mode.reset(token)

    if not loop_is_running():
        return asyncio.run(finish())
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(1, thread_name_prefix="headrace-private-loop") as pool:
        return pool.submit(copy_context().run, asyncio.run, finish()).result()


async def settle(value: Awaitable[R] | R) -> R:
    """Return a value that a user's function may have given as an awaitable."""
    from inspect import isawaitable

    if not isawaitable(value):
        return value
    if in_blocking_run():
        return run_awaitable(value)
    return await value


def named(coroutine: Coroutine[Any, Any, R], name: str) -> Coroutine[Any, Any, R]:
    """Give a coroutine the name of what the user called, so that Python's warning of one that nobody awaits says which it was."""
    coroutine.__qualname__ = name
    return coroutine
