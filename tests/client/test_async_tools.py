"""Helpers for users' async code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from functools import partial, wraps

import pytest

from headrace import flow, task
from headrace.utilities.asyncutils import LazySemaphore, gather, is_async_fn, is_async_gen_fn, run_coro_as_sync, run_sync_in_worker_thread
from headrace.utilities.context import get_flow_run_id, get_task_and_flow_run_ids, get_task_run_id


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def numbers() -> AsyncGenerator[int, None]:
    yield 1


def test_kinds_of_functions_are_told_through_decorators() -> None:
    @wraps(double)
    def wrapper(number: int) -> object:
        return double(number)

    assert is_async_fn(wrapper)
    assert not is_async_fn(numbers)
    assert is_async_gen_fn(numbers)
    assert not is_async_gen_fn(double)


def test_gather_returns_values_in_order_and_cancels_the_rest_on_an_error() -> None:
    ended: list[str] = []

    async def forever() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        return 0

    async def fail() -> int:
        raise ValueError("bad")

    async def main() -> None:
        assert await gather(partial(double, 1), partial(double, 2)) == [2, 4]
        with pytest.raises(ExceptionGroup) as caught:
            await gather(forever, fail)
        assert [str(error) for error in caught.value.exceptions] == ["bad"]

    asyncio.run(main())
    assert ended == ["cancelled"]


def test_blocking_function_runs_in_another_thread_with_its_keywords() -> None:
    def where(*, tag: str) -> tuple[str, bool]:
        return tag, threading.current_thread() is threading.main_thread()

    assert asyncio.run(run_sync_in_worker_thread(where, tag="x")) == ("x", False)


def test_coroutine_is_finished_whether_or_not_a_loop_runs() -> None:
    async def inside_a_loop() -> int:
        return run_coro_as_sync(double(4))

    assert run_coro_as_sync(double(3)) == 6
    assert asyncio.run(inside_a_loop()) == 8


def test_lazy_semaphore_asks_for_its_size_once_when_entered() -> None:
    asked: list[int] = []
    inside, most = 0, 0

    def size() -> int:
        asked.append(2)
        return 2

    semaphore = LazySemaphore(size)
    assert asked == []

    async def enter() -> None:
        nonlocal inside, most
        async with semaphore:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async def main() -> None:
        await gather(*[enter] * 5)

    asyncio.run(main())
    assert (asked, most) == ([2], 2)


def test_ids_name_the_runs_that_the_code_belongs_to() -> None:
    @task
    def inner() -> tuple[object, object, object]:
        return get_task_and_flow_run_ids(), get_task_run_id(), get_flow_run_id()

    @flow
    def outer() -> tuple[object, object]:
        return get_task_and_flow_run_ids(), inner()

    (no_task, flow_id), (both, task_id, same_flow_id) = outer()
    assert no_task is None
    assert flow_id == same_flow_id is not None
    assert both == (task_id, flow_id)
    assert get_task_and_flow_run_ids() == (None, None)
