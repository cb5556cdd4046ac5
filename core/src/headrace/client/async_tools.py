"""What users' async code asks for beside asyncio: calls in threads, several calls at once, a semaphore that is made when first used."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def is_async_fn(func: Callable[..., Any]) -> bool:
    """Say whether calling the function gives a coroutine; decorators that keep `__wrapped__` are looked through."""
    return inspect.iscoroutinefunction(inspect.unwrap(func))


def is_async_gen_fn(func: Callable[..., Any]) -> bool:
    """Say whether the function is an async generator; decorators that keep `__wrapped__` are looked through."""
    return inspect.isasyncgenfunction(inspect.unwrap(func))


async def run_sync_in_worker_thread(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that blocks in a thread, with the present context, and return its value; the loop goes on meanwhile.

    When the waiting is cancelled, the thread still finishes its call; what it returns is dropped.
    """
    return await asyncio.to_thread(fn, *args, **kwargs)


async def gather(*calls: Callable[[], Coroutine[Any, Any, R]]) -> list[R]:
    """Run the calls at once and return their values in order: `await gather(one, partial(two, 2))`. Takes functions, not coroutines.

    When one raises, the others are cancelled; what was raised comes in an `ExceptionGroup`.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call()) for call in calls]
    return [task.result() for task in tasks]


class LazySemaphore:
    """A semaphore for `async with`, whose size is asked for (`initial_value_func()`) when it is first entered."""

    def __init__(self, initial_value_func: Callable[[], int]) -> None:
        self._size = initial_value_func
        self._semaphore: asyncio.Semaphore | None = None

    async def __aenter__(self) -> asyncio.Semaphore:
        if self._semaphore is None:
            self._semaphore = asyncio.Semaphore(self._size())
        await self._semaphore.acquire()
        return self._semaphore

    async def __aexit__(self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None) -> None:
        assert self._semaphore is not None
        self._semaphore.release()
