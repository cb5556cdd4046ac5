"""Retries of tasks and flows: counts, delays, conditions and what is replayed."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from engine.modes import Mode, Stored
from headrace import flow
from headrace.engine.retries import delay_before
from headrace.model import clock
from headrace.states import Failed
from headrace.testing.clock import ControlledClock

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
def sleepless() -> Generator[ControlledClock, None, None]:
    with clock.use(ControlledClock()) as controlled:
        yield controlled


def failing(times: int, tried: list[int], mode: Mode, **options: Any) -> Any:
    @mode.task(**options)
    async def part() -> str:
        tried.append(1)
        if len(tried) <= times:
            raise ValueError(f"bad {len(tried)}")
        return "good"

    return part


def test_task_is_tried_again_until_it_succeeds(mode: Mode, stored: Stored) -> None:
    tried: list[int] = []
    assert mode.run(failing(2, tried, mode, retries=2)) == "good"
    assert len(tried) == 3
    assert stored.task_history() == ["Pending", "Running", "Retrying", "Retrying", "Completed"]
    assert stored.task_run().run_count == 3


def test_task_fails_when_its_retries_are_used_up(mode: Mode, stored: Stored) -> None:
    tried: list[int] = []
    with pytest.raises(ValueError, match="bad 3"):
        mode.run(failing(9, tried, mode, retries=2))
    assert (len(tried), stored.task_run().run_count, stored.task_run().state.name) == (3, 3, "Failed")


def test_returned_failed_state_is_tried_again(mode: Mode, stored: Stored) -> None:
    tried: list[int] = []

    @mode.task(retries=1)
    async def part() -> Any:
        tried.append(1)
        return Failed(message="not yet") if len(tried) == 1 else "good"

    assert mode.run(part) == "good"
    assert stored.task_run().run_count == 2


def test_delays_of_a_list_are_used_in_order_and_the_last_repeats(sleepless: ControlledClock, stored: Stored) -> None:
    tried: list[int] = []
    assert failing(3, tried, Mode("blocking"), retries=3, retry_delay_seconds=[10, 20])() == "good"
    assert sleepless.slept == [10, 20, 20]
    states = stored.task_states()
    assert [state.name for state in states] == [
        "Pending", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed",
    ]  # fmt: skip
    scheduled = states[2].state_details.scheduled_time
    assert timedelta(seconds=9) < scheduled - states[2].timestamp <= timedelta(seconds=11)
    assert states[2].message == "Task run encountered an exception: ValueError: bad 1"


def test_one_delay_holds_for_all(sleepless: ControlledClock) -> None:
    failing(2, [], Mode("blocking"), retries=2, retry_delay_seconds=7)()
    assert sleepless.slept == [7, 7]


def test_short_delay_in_both_modes(mode: Mode, stored: Stored) -> None:
    assert mode.run(failing(1, [], mode, retries=1, retry_delay_seconds=0.01)) == "good"
    assert stored.task_history() == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]


@pytest.mark.parametrize(("draw", "expected"), [(0.0, 10), (0.5, 15), (0.999, 19.99)])
def test_jitter_spreads_between_the_delay_and_its_factor(draw: float, expected: float) -> None:
    assert delay_before(2, 10, 1.0, draw) == pytest.approx(expected)
    assert delay_before(2, 10, None, draw) == 10


def test_jitter_is_applied(sleepless: ControlledClock) -> None:
    failing(9, [], Mode("blocking"), retries=9, retry_delay_seconds=10, retry_jitter_factor=0.5)()
    assert all(10 <= seconds <= 15 for seconds in sleepless.slept)
    assert len(set(sleepless.slept)) > 1


@pytest.mark.parametrize("kind", ["function", "async", "object"])
def test_condition_decides(mode: Mode, stored: Stored, kind: str) -> None:
    asked: list[Any] = []

    def decide(task: Any, run: Any, state: Any) -> bool:
        asked.append((task.name, run.run_count, state.message))
        return run.run_count < 2

    async def decide_later(task: Any, run: Any, state: Any) -> bool:
        return decide(task, run, state)

    class Decision:
        def __call__(self, task: Any, run: Any, state: Any) -> bool:
            return decide(task, run, state)

    condition = {"function": decide, "async": decide_later, "object": Decision()}[kind]
    with pytest.raises(ValueError, match="bad 2"):
        mode.run(failing(9, [], mode, retries=5, retry_condition_fn=condition))
    assert [count for _, count, _ in asked] == [1, 2]
    assert asked[0][2] == "Task run encountered an exception: ValueError: bad 1"


def test_condition_that_says_no_leaves_one_attempt(mode: Mode, stored: Stored) -> None:
    tried: list[int] = []
    with pytest.raises(ValueError, match="bad 1"):
        mode.run(failing(9, tried, mode, retries=5, retry_condition_fn=lambda task, run, state: False))
    assert len(tried) == 1


def test_condition_that_raises_means_no_and_is_logged(mode: Mode, stored: Stored) -> None:
    def broken(task: Any, run: Any, state: Any) -> bool:
        raise ZeroDivisionError("in the condition")

    tried: list[int] = []

    @mode.flow
    async def work() -> None:
        await mode.call(failing(9, tried, mode, retries=5, retry_condition_fn=broken))

    with pytest.raises(ValueError, match="bad 1"):
        mode.run(work)
    assert len(tried) == 1
    assert "'broken': ZeroDivisionError: in the condition" in stored.logs()


def test_log_counts_the_retries(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> None:
        await mode.call(failing(2, [], mode, retries=2))

    mode.run(work)
    assert "Retry 1/2 will start immediately" in stored.logs() and "Retry 2/2 will start immediately" in stored.logs()


# --- flows ---------------------------------------------------------------------------------------------------------------------


def test_flow_is_tried_again_as_a_whole(mode: Mode, stored: Stored) -> None:
    tried: list[int] = []

    @mode.flow(retries=2)
    async def work() -> str:
        tried.append(1)
        if len(tried) < 3:
            raise ValueError("bad")
        return "good"

    assert mode.run(work) == "good"
    assert stored.flow_history() == ["Pending", "Running", "AwaitingRetry", "Running", "AwaitingRetry", "Running", "Completed"]
    assert stored.flow_run().run_count == 3


def test_flow_fails_when_its_retries_are_used_up(mode: Mode, stored: Stored) -> None:
    @mode.flow(retries=1)
    async def work() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        mode.run(work)
    assert (stored.flow_run().run_count, stored.flow_run().state.name) == (2, "Failed")


def test_flow_waits_before_it_is_tried_again(sleepless: ControlledClock, stored: Stored) -> None:
    tried: list[int] = []

    @flow(retries=1, retry_delay_seconds=30)
    def work() -> str:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("bad")
        return "good"

    assert work() == "good"
    assert len(sleepless.slept) == 1 and 29 < sleepless.slept[0] < 31


@pytest.mark.parametrize(("persisted", "times"), [(True, 1), (False, 2)])
def test_tasks_are_replayed_only_if_their_results_are_kept(mode: Mode, stored: Stored, persisted: bool, times: int) -> None:
    ran: list[int] = []
    tried: list[int] = []

    @mode.task(persist_result=persisted)
    async def part() -> int:
        ran.append(1)
        return 7

    @mode.flow(retries=1)
    async def work() -> int:
        value = await mode.call(part)
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("bad")
        return value

    assert mode.run(work) == 7
    assert len(ran) == times
    assert [run.state.name for run in stored.task_runs()] == ["Completed", "Cached" if persisted else "Completed"]


def test_keys_of_calls_are_stable_over_attempts(mode: Mode, stored: Stored) -> None:
    tried: list[int] = []

    @mode.task
    async def part() -> None: ...

    @mode.flow(retries=1)
    async def work() -> None:
        await mode.call(part)
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("bad")

    mode.run(work)
    first, second = stored.task_runs()
    assert first.dynamic_key.split("-")[0] == second.dynamic_key.split("-")[0] == "0"
    assert (first.flow_run_run_count, second.flow_run_run_count) == (1, 2)


def test_fractions_of_a_second_are_waited_for_as_such(sleepless: ControlledClock) -> None:
    tried: list[int] = []

    @flow(retries=1, retry_delay_seconds=0.25)
    def work() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("bad")

    work()
    assert sum(sleepless.slept) < 0.3
