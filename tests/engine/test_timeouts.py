"""Time limits of flows and tasks, in every kind of place."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from engine.modes import Mode, Stored
from headrace import flow, task
from headrace.flow_engine import FlowRunTimeoutError
from headrace.task_engine import TaskRunTimeoutError

LONG = 5


def sleep_long(mode: Mode) -> Any:
    async def sleep() -> None:
        if mode.is_async:
            await asyncio.sleep(LONG)
        else:
            time.sleep(LONG)

    return sleep


def test_flow_times_out(mode: Mode, stored: Stored) -> None:
    sleep = sleep_long(mode)

    @mode.flow(timeout_seconds=0.1)
    async def work() -> None:
        await sleep()

    began = time.monotonic()
    with pytest.raises(FlowRunTimeoutError, match=r"exceeded timeout of 0.1 second\(s\)") as caught:
        mode.run(work)
    assert isinstance(caught.value, TimeoutError)
    assert time.monotonic() - began < LONG
    state = stored.flow_run().state
    assert (state.type, state.name, state.message) == ("FAILED", "TimedOut", "Flow run exceeded timeout of 0.1 second(s)")


def test_task_times_out(mode: Mode, stored: Stored) -> None:
    sleep = sleep_long(mode)

    @mode.task(timeout_seconds=0.1)
    async def part() -> None:
        await sleep()

    @mode.flow
    async def work() -> Any:
        with pytest.raises(TaskRunTimeoutError, match=r"exceeded timeout of 0.1 second\(s\)"):
            await mode.call(part)
        state = await mode.call(part, return_state=True)
        return state.name, state.type.value

    assert mode.run(work) == ("TimedOut", "FAILED")
    assert stored.task_run("part-0").state.message == "Task run exceeded timeout of 0.1 second(s)"


def test_task_in_a_worker_thread_is_judged_when_it_returns() -> None:
    gate = threading.Event()

    @task(timeout_seconds=0.05)
    def part() -> str:
        gate.wait(0.1)
        return "late"

    @flow
    def work() -> str:
        return part.submit(return_state=True).name

    assert work() == "TimedOut"


def test_async_task_in_a_worker_thread_is_cancelled() -> None:
    @task(timeout_seconds=0.05)
    async def part() -> None:
        await asyncio.sleep(LONG)

    @flow
    def work() -> str:
        return part.submit(return_state=True).name

    began = time.monotonic()
    assert work() == "TimedOut"
    assert time.monotonic() - began < LONG


def test_what_ends_in_time_is_left_alone(mode: Mode) -> None:
    @mode.task(timeout_seconds=LONG)
    async def part() -> int:
        return 1

    @mode.flow(timeout_seconds=LONG)
    async def work() -> int:
        return await mode.call(part) + part.submit().result()

    assert mode.run(work) == 2


def test_timeout_error_of_user_code_is_timed_out_too(mode: Mode, stored: Stored) -> None:
    @mode.flow(timeout_seconds=LONG)
    async def work() -> None:
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        mode.run(work)
    state = stored.flow_run().state
    assert (state.name, state.message) == ("TimedOut", "Flow run failed due to timeout: the database")


def test_timeout_cannot_be_swallowed_by_except_exception() -> None:
    @flow(timeout_seconds=0.1)
    def work() -> str:
        while True:
            try:
                time.sleep(LONG)
            except Exception:
                return "swallowed"

    assert work(return_state=True).name == "TimedOut"


def test_limits_nest(mode: Mode, stored: Stored) -> None:
    sleep = sleep_long(mode)

    @mode.task(timeout_seconds=LONG)
    async def part() -> None:
        await sleep()

    @mode.flow(timeout_seconds=0.1)
    async def work() -> None:
        await mode.call(part)

    began = time.monotonic()
    assert mode.run(work, return_state=True).name == "TimedOut"
    assert time.monotonic() - began < LONG
    assert stored.task_run().state.name == "Crashed"
    assert "cancelled" in stored.task_run().state.message


def test_a_task_without_a_limit_has_no_part_in_that_of_its_flow(mode: Mode, stored: Stored) -> None:
    sleep = sleep_long(mode)

    @mode.task(retries=2)
    async def slow() -> None:
        await sleep()

    @mode.flow(timeout_seconds=0.2)
    async def outer() -> None:
        await mode.call(slow)

    with pytest.raises(FlowRunTimeoutError, match=r"exceeded timeout of 0.2 second\(s\)"):
        mode.run(outer)
    (run,) = stored.task_runs()
    assert (run.state.name, run.run_count) == ("Crashed", 1)
    assert run.state.message.startswith("Execution was cancelled")


def test_outer_limit_goes_on_after_an_inner_one() -> None:
    @task(timeout_seconds=0.05)
    def part() -> None:
        time.sleep(LONG)

    @flow(timeout_seconds=0.2)
    def work() -> None:
        part(return_state=True)
        time.sleep(LONG)

    began = time.monotonic()
    assert work(return_state=True).name == "TimedOut"
    assert time.monotonic() - began < LONG


def test_timed_out_task_is_tried_again(mode: Mode, stored: Stored) -> None:
    tried: list[int] = []
    sleep = sleep_long(mode)

    @mode.task(timeout_seconds=0.1, retries=1)
    async def part() -> str:
        tried.append(1)
        if len(tried) == 1:
            await sleep()
        return "good"

    assert mode.run(part) == "good"
    assert stored.task_run().run_count == 2


def test_own_alarm_of_the_program_still_rings() -> None:
    import signal

    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)

        @flow(timeout_seconds=0.05)
        def work() -> None:
            time.sleep(LONG)

        assert work(return_state=True).name == "TimedOut"
        time.sleep(0.2)
        assert rang == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_what_a_timed_out_flow_submitted_does_not_begin_any_more(mode: Mode, stored: Stored) -> None:
    sleep = sleep_long(mode)
    gate = threading.Event()

    @task
    def held() -> None:
        gate.wait(LONG)

    @task
    def after(x: Any) -> None: ...

    @mode.flow(timeout_seconds=0.1)
    async def work() -> None:
        after.submit(held.submit())
        threading.Timer(0.2, gate.set).start()
        await sleep()

    assert mode.run(work, return_state=True).name == "TimedOut"
    assert {run.name: run.state.name for run in stored.task_runs()} == {"held-0": "Completed", "after-0": "Cancelled"}
