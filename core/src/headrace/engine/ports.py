"""What the engine needs from whatever waits: sleeping, time limits, user code, threads. Two kinds: blocking and async."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from inspect import isawaitable
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from headrace.client import bridge
from headrace.model import clock

if TYPE_CHECKING:
    from headrace.engine.futures import HeadraceFuture

R = TypeVar("R")


class TimeLimitReached(BaseException):
    """The time limit of a run passed. Not an `Exception`, so that user code does not swallow it."""


class EnclosingLimitReached(BaseException):
    """The time limit of an enclosing run passed; the argument is the level of that limit. Ends the runs in between."""


class Ports(Protocol):
    """How a run waits."""

    mode: bridge.Mode

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...

    async def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a user's function and, if it gives an awaitable, wait for it."""
        ...

    def limit(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Raise `TimeLimitReached` when the block takes longer than `seconds`."""
        ...

    async def wait_for(self, future: HeadraceFuture[Any]) -> None:
        """Wait until a submitted run has ended."""
        ...


class BlockingPorts:
    """Waits by blocking the thread."""

    mode: bridge.Mode = "blocking"

    async def sleep(self, seconds: float) -> None:
        clock.sleep(seconds)

    async def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = fn(*args, **kwargs)
        return bridge.run_awaitable(value) if isawaitable(value) else value

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncGenerator[None, None]:
        with _alarm(seconds) if threading.current_thread() is threading.main_thread() else _deadline(seconds):
            yield

    async def wait_for(self, future: HeadraceFuture[Any]) -> None:
        future.block()


class AsyncPorts:
    """Waits by awaiting."""

    mode: bridge.Mode = "async"

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    async def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = fn(*args, **kwargs)
        return await value if isawaitable(value) else value

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncGenerator[None, None]:
        import asyncio

        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                yield
        except TimeoutError:
            if scope.expired():
                raise TimeLimitReached from None
            raise

    async def wait_for(self, future: HeadraceFuture[Any]) -> None:
        if future.done:
            return
        import asyncio

        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def wake(_: HeadraceFuture[Any]) -> None:
            loop.call_soon_threadsafe(lambda: ended.done() or ended.set_result(None))

        future.add_done_callback(wake)
        await ended


BLOCKING = BlockingPorts()
ASYNC = AsyncPorts()


_deadlines: list[float] = []
"""When the limits that hold in the main thread end, the outermost first."""


@contextmanager
def _alarm(seconds: float) -> Generator[None, None, None]:
    """Interrupt the main thread by a timer signal. Limits nest: the first that ends rings, and ends the runs inside it."""
    level = len(_deadlines)

    def ring(number: int, frame: FrameType | None) -> None:
        over = _deadlines.index(min(_deadlines))
        raise EnclosingLimitReached(over)  # runs in between have no part in it, whether they have limits or not

    began = clock.monotonic()
    _deadlines.append(began + seconds)
    before = signal.signal(signal.SIGALRM, ring)
    left_outer, _ = signal.setitimer(signal.ITIMER_REAL, min(_deadlines) - began)
    try:
        yield
    except EnclosingLimitReached as reached:
        if reached.args[0] == level:
            raise TimeLimitReached from None
        left_outer = 0  # it has rung already
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _deadlines.pop()
        signal.signal(signal.SIGALRM, before)
        if left_outer:
            ends = min(_deadlines) if _deadlines else began + left_outer
            signal.setitimer(signal.ITIMER_REAL, max(ends - clock.monotonic(), 0.000_001))


@contextmanager
def _deadline(seconds: float) -> Generator[None, None, None]:
    """Judge by the clock when the block ends: a blocking call in a worker thread cannot be interrupted."""
    began = clock.monotonic()
    yield
    if clock.monotonic() - began > seconds:
        raise TimeLimitReached
