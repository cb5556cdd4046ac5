"""What a return value means for the run, and what the caller gets."""

from __future__ import annotations

from typing import Any

import pytest

from engine.modes import Mode, Stored
from headrace import flow, task
from headrace.exceptions import CancelledRun, FailedRun
from headrace.states import Cancelled, Completed, Failed, Paused


@task
def good(x: Any = 1) -> Any:
    return x


@task
def bad() -> None:
    raise ValueError("bad")


def test_value_and_none_complete(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work(x: Any) -> Any:
        return x

    assert (mode.run(work, 5), mode.run(work, None)) == (5, None)
    assert {run.state.name for run in stored.flow_runs()} == {"Completed"}


def test_exception_fails_and_is_raised_itself(mode: Mode, stored: Stored) -> None:
    error = ValueError("bad")

    @mode.flow
    async def work() -> None:
        raise error

    with pytest.raises(ValueError, match="bad") as caught:
        mode.run(work)
    assert caught.value is error
    state = stored.flow_run().state
    assert (state.type, state.name, state.message) == ("FAILED", "Failed", "Flow run encountered an exception: ValueError: bad")


def test_one_future_or_state_gives_its_value(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def future() -> Any:
        return good.submit(3)

    @mode.flow
    async def state() -> Any:
        return good(4, return_state=True)

    assert (mode.run(future), mode.run(state)) == (3, 4)
    assert [run.state.message for run in stored.flow_runs()] == ["All states completed."] * 2


def test_returned_failure_fails_the_run_and_is_raised(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> Any:
        return bad.submit()

    with pytest.raises(ValueError, match="bad"):
        mode.run(work)
    assert stored.flow_run().state.message == "1/1 states failed."


@pytest.mark.parametrize(
    "shape",
    [
        lambda a, b: [a, b],
        lambda a, b: (a, b),
        lambda a, b: {a, b},
        lambda a, b: {"a": a, "b": b},
        lambda a, b: [{"x": (a, [b])}],
    ],
)
def test_every_nested_future_counts(mode: Mode, stored: Stored, shape: Any) -> None:
    @mode.flow
    async def work() -> Any:
        return shape(good.submit(), bad.submit())

    state = mode.run(work, return_state=True)
    assert (state.type, state.name, state.message) == ("FAILED", "Failed", "1/2 states failed.")
    with pytest.raises(ValueError, match="bad"):
        mode.run(work)


def test_nested_futures_that_completed_become_values_for_the_caller(mode: Mode) -> None:
    @mode.flow
    async def work() -> Any:
        return {"a": [good.submit(1)], "b": good.map([2, 3]), "c": 4}

    assert mode.run(work) == {"a": [1], "b": [2, 3], "c": 4}


def test_nested_states_become_values_for_the_caller(mode: Mode) -> None:
    @mode.flow
    async def work() -> Any:
        return [good(1, return_state=True), {"a": good(2, return_state=True)}]

    assert mode.run(work) == [1, {"a": 2}]


def test_failed_task_that_nobody_looked_at_is_warned_of(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> int:
        bad.submit()
        return 7

    assert mode.run(work) == 7
    assert stored.flow_run().state.name == "Completed"
    assert "nothing looked at their results: bad-0" in stored.logs()


def test_failed_task_that_was_looked_at_is_not_warned_of(stored: Stored) -> None:
    @flow
    def work() -> int:
        bad.submit().wait()
        assert bad.submit().state is not None
        with pytest.raises(ValueError, match="bad"):
            bad.submit().result()
        return 7

    work()
    assert "nothing looked at their results" not in stored.logs()


@pytest.mark.parametrize(
    ("states", "kind", "message"),
    [
        ([Completed(), Completed()], "COMPLETED", "All states completed."),
        ([Completed(), Failed()], "FAILED", "1/2 states failed."),
        ([Failed(), Cancelled()], "CANCELLED", "1/2 states cancelled."),
    ],
)
def test_lists_of_states_are_counted(mode: Mode, states: Any, kind: str, message: str) -> None:
    @mode.flow
    async def work() -> Any:
        return states

    state = mode.run(work, return_state=True)
    assert (state.type, state.message) == (kind, message)


@pytest.mark.parametrize(("state", "error"), [(Failed(message="nope"), FailedRun), (Cancelled(message="nope"), CancelledRun)])
def test_state_made_by_hand_is_taken_as_it_is(mode: Mode, stored: Stored, state: Any, error: Any) -> None:
    @mode.flow
    async def work() -> Any:
        return state

    with pytest.raises(error, match="nope"):
        mode.run(work)
    final = stored.flow_run().state
    assert (final.type, final.name, final.message) == (state.type, state.name, "nope")


def test_own_name_of_a_state_is_kept(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> Any:
        return Completed(name="Skipped", message="nothing to do", data=3)

    assert mode.run(work) == 3
    assert stored.flow_run().state.name == "Skipped"


def test_generator_that_a_function_returns_is_consumed() -> None:
    @flow
    def work() -> Any:
        return (n for n in range(3))

    assert work() == [0, 1, 2]


def test_task_that_returns_a_failed_state_fails(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def work() -> Any:
        return Failed(message="nope")

    state = mode.run(work, return_state=True)
    assert state.is_failed()
    with pytest.raises(FailedRun, match="nope"):
        mode.run(work)
    assert {run.state.name for run in stored.task_runs()} == {"Failed"}


def test_task_that_returns_futures_waits_for_them(mode: Mode) -> None:
    @mode.task
    async def outer() -> Any:
        return [good.submit(1), good.submit(2)]

    @mode.flow
    async def work() -> Any:
        return await mode.call(outer)

    assert mode.run(work) == [1, 2]


def test_paused_state_of_a_task_does_not_complete_it(mode: Mode) -> None:
    @mode.flow
    async def work() -> Any:
        return [Completed(), Paused()]

    assert mode.run(work, return_state=True).is_paused()
