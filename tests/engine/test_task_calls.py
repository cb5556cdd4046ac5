"""Calling, submitting and mapping tasks, inside and outside flows."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from engine.modes import Mode, Stored
from headrace import allow_failure, flow, task
from headrace.exceptions import ParameterBindError, UpstreamTaskError


def test_direct_call_runs_in_the_callers_thread(mode: Mode) -> None:
    @mode.task
    async def where() -> int:
        return threading.get_ident()

    @mode.flow
    async def work() -> bool:
        return await mode.call(where) == threading.get_ident()

    assert mode.run(work) is True


def test_submitted_run_has_a_thread_of_its_own() -> None:
    @task
    def where() -> int:
        return threading.get_ident()

    @flow
    def work() -> bool:
        return where.submit().result() == threading.get_ident()

    assert work() is False


def test_task_runs_outside_flows(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def add(x: int, y: int = 2) -> int:
        return x + y

    assert mode.run(add, 1) == 3
    run = stored.task_run()
    assert (run.flow_run_id, run.state.name, run.run_count) == (None, "Completed", 1)
    assert stored.task_history() == ["Pending", "Running", "Completed"]


def test_arguments_of_tasks_are_not_coerced(mode: Mode) -> None:
    @mode.task
    async def kind(x: int) -> str:
        return type(x).__name__

    assert mode.run(kind, "5") == "str"


def test_arguments_that_do_not_fit_make_no_run(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def work(x: int) -> None: ...

    with pytest.raises(ParameterBindError, match="work"):
        mode.run(work)
    assert stored.task_runs() == []


def test_return_state_gives_the_final_state(mode: Mode) -> None:
    @mode.task
    async def good() -> int:
        return 3

    @mode.task
    async def bad() -> None:
        raise ValueError("bad")

    @mode.task
    async def pick(x: int) -> float:
        return 1 / x

    @mode.flow
    async def work() -> Any:
        return [
            await mode.value((await mode.call(good, return_state=True)).result()),
            (await mode.call(bad, return_state=True)).message,
            good.submit(return_state=True).name,
            [state.name for state in pick.map([1, 0], return_state=True)],
        ]

    assert mode.run(work) == [3, "Task run encountered an exception: ValueError: bad", "Completed", ["Completed", "Failed"]]


def test_submit_and_map_need_a_flow(mode: Mode) -> None:
    @mode.task
    async def work(x: int) -> int:
        return x

    with pytest.raises(RuntimeError, match="To run"):
        work.submit(1)
    with pytest.raises(RuntimeError, match="call the task for each element"):
        work.map([1])


def test_submitted_run_of_a_failed_upstream_is_not_ready_and_never_runs(mode: Mode, stored: Stored) -> None:
    ran: list[int] = []

    @mode.task
    async def bad() -> None:
        raise ValueError("bad")

    @mode.task
    async def after(x: Any) -> None:
        ran.append(1)

    @mode.flow
    async def work() -> Any:
        future = after.submit(bad.submit())
        future.wait(5)
        return future.state.type.value, future.state.name, future.state.message

    kind, name, message = mode.run(work)
    assert (kind, name) == ("PENDING", "NotReady")
    assert message == f"Upstream task run '{stored.task_run('bad-0').id}' did not reach a 'COMPLETED' state."
    assert ran == []
    assert stored.task_history("after-0") == ["Pending", "NotReady"]


def test_result_of_a_run_that_is_not_ready_raises(mode: Mode) -> None:
    @mode.task
    async def bad() -> None:
        raise ValueError("bad")

    @mode.task
    async def after(x: Any) -> None: ...

    @mode.flow
    async def work() -> None:
        after.submit(bad.submit()).result(timeout=5)

    with pytest.raises(UpstreamTaskError, match="did not reach"):
        mode.run(work)


def test_runs_behind_a_run_that_is_not_ready_are_not_ready_either(stored: Stored) -> None:
    @task
    def bad() -> None:
        raise ValueError("bad")

    @task
    def after(x: Any) -> None: ...

    @flow
    def work() -> Any:
        future = after.submit(after.submit(bad.submit()))
        future.wait(5)
        return future.state.name

    assert work() == "NotReady"


def test_direct_call_with_a_failed_upstream_raises(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def bad() -> None:
        raise ValueError("bad")

    @mode.task
    async def after(x: Any) -> None: ...

    @mode.flow
    async def work() -> None:
        await mode.call(after, bad.submit())

    with pytest.raises(UpstreamTaskError, match="did not reach a 'COMPLETED' state"):
        mode.run(work)
    assert stored.flow_run().state.is_failed()


def test_allow_failure_hands_over_the_exception(mode: Mode) -> None:
    @mode.task
    async def bad() -> None:
        raise ValueError("bad")

    @mode.task
    async def after(x: Any) -> str:
        return repr(x)

    @mode.flow
    async def work() -> Any:
        future = bad.submit()
        return [after.submit(allow_failure(future)).result(), await mode.call(after, allow_failure(future))]

    assert mode.run(work) == ["ValueError('bad')"] * 2


def test_async_task_in_a_blocking_flow_gives_a_coroutine_and_can_be_submitted(stored: Stored) -> None:
    @task
    async def work(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    @flow
    def blocking() -> Any:
        coroutine = work(1)
        assert asyncio.iscoroutine(coroutine)
        return asyncio.run(coroutine), work.submit(2).result(), work.map([3, 4]).result()

    assert blocking() == (2, 3, [4, 5])
    assert {run.state.name for run in stored.task_runs()} == {"Completed"}


def test_blocking_task_in_an_async_flow_runs_inline() -> None:
    @task
    def where() -> int:
        return threading.get_ident()

    @flow
    async def work() -> bool:
        return where() == threading.get_ident()

    assert asyncio.run(work()) is True


def test_async_tasks_run_side_by_side_with_gather(stored: Stored) -> None:
    @flow
    async def work() -> list[int]:
        both = asyncio.Event()
        waiting: list[int] = []

        @task
        async def meet(x: int) -> int:
            waiting.append(x)
            if len(waiting) == 2:
                both.set()
            await asyncio.wait_for(both.wait(), 5)
            return x

        return await asyncio.gather(meet(1), meet(2))

    assert asyncio.run(work()) == [1, 2]


def test_task_called_in_a_task_has_a_parent(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def inner() -> int:
        return 1

    @mode.task
    async def outer() -> int:
        return await mode.call(inner)

    @mode.flow
    async def work() -> int:
        return await mode.call(outer)

    assert mode.run(work) == 1
    parents = stored.task_run("inner-0").task_inputs["__parents__"]
    assert [parent.id for parent in parents] == [stored.task_run("outer-0").id]


def test_a_task_may_submit_to_the_flows_runner(stored: Stored) -> None:
    @task
    def inner(x: int) -> int:
        return x

    @task
    def outer() -> list[int]:
        return inner.map([1, 2]).result()

    @flow
    def work() -> Any:
        return outer(), outer.submit().result()

    assert work() == ([1, 2], [1, 2])
    assert len(stored.task_runs()) == 6


def test_calls_from_a_thread_that_carries_the_context_belong_to_the_flow(stored: Stored) -> None:
    from contextvars import copy_context

    @task
    def work() -> None: ...

    @flow
    def threads() -> None:
        thread = threading.Thread(target=copy_context().run, args=(work,))
        thread.start()
        thread.join()

    threads()
    assert stored.task_run().flow_run_id == stored.flow_run().id


def test_stop_iteration_in_a_task_is_told_in_the_users_words(mode: Mode) -> None:
    @mode.task
    async def first(items: list[int]) -> int:
        return next(iter(items))

    @mode.flow
    async def work() -> Any:
        return await first([])

    with pytest.raises(RuntimeError, match=r"raised StopIteration: `next\(\)` found nothing"):
        mode.run(work)


def test_an_async_task_that_nobody_awaits_is_named_in_the_warning(stored: Stored) -> None:
    @task
    async def forgotten() -> None: ...

    @flow
    def work() -> int:
        forgotten()
        return 1

    with pytest.warns(RuntimeWarning, match="coroutine 'task forgotten' was never awaited"):
        assert work() == 1
    assert stored.task_runs() == []
