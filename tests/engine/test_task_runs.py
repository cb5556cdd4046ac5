"""The life of a task run: states, counts, inputs, and what is stored of it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from engine.modes import Mode, Stored
from headrace import flow, task

pytestmark = pytest.mark.usefixtures("client")


def test_history_is_exact_and_times_increase(mode: Mode, stored: Stored) -> None:
    @mode.task(tags=["a"], retries=3, retry_delay_seconds=5)
    async def part(x: int) -> None: ...

    @mode.flow
    async def work() -> None:
        await mode.call(part, 1)

    mode.run(work)
    states = stored.task_states()
    assert [(state.type, state.name) for state in states] == [("PENDING", "Pending"), ("RUNNING", "Running"), ("COMPLETED", "Completed")]
    assert states[0].timestamp < states[1].timestamp < states[2].timestamp
    run = stored.task_run()
    assert (run.run_count, run.flow_run_run_count, run.tags, run.task_inputs) == (1, 1, ["a"], {"x": []})
    assert (run.empirical_policy.retries, run.empirical_policy.retry_delay) == (3, 5)
    assert (run.start_time, run.end_time) == (states[1].timestamp, states[2].timestamp)
    assert run.flow_run_id == stored.flow_run().id
    assert run.task_key == part.task_key


def test_failure_and_its_message(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def part() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        mode.run(part)
    assert stored.task_history() == ["Pending", "Running", "Failed"]
    assert stored.task_run().state.message == "Task run encountered an exception: ValueError: bad"


def test_states_of_one_run_are_linked_to_their_runs(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def part() -> None: ...

    @mode.flow
    async def work() -> Any:
        return (await mode.call(part, return_state=True)).state_details

    details = mode.run(work)
    assert (details.task_run_id, details.flow_run_id) == (stored.task_run().id, stored.flow_run().id)


@pytest.mark.parametrize("error", [SystemExit(4), KeyboardInterrupt()])
def test_what_is_no_exception_crashes_the_run(mode: Mode, stored: Stored, error: BaseException) -> None:
    @mode.task
    async def part() -> None:
        raise error

    @mode.flow
    async def work() -> None:
        await mode.call(part)

    with pytest.raises(type(error)):
        mode.run(work)
    assert (stored.task_run().state.name, stored.flow_run().state.name) == ("Crashed", "Crashed")


def test_exit_in_a_submitted_task_crashes_that_run_alone(stored: Stored) -> None:
    @task
    def part() -> None:
        raise SystemExit(3)

    @flow
    def work() -> str:
        future = part.submit()
        future.wait()
        return future.state.name

    assert work() == "Crashed"
    assert stored.task_run().state.message == "Execution was aborted by Python system exit call."
    assert stored.flow_run().state.name == "Completed"


def test_context_of_a_task_run(mode: Mode, stored: Stored) -> None:
    from headrace.context import TaskRunContext, get_run_context

    @mode.task
    async def part(x: int) -> Any:
        context = get_run_context()
        assert context is TaskRunContext.get()
        return context.task_run.id, context.task.name, context.parameters

    assert mode.run(part, 1) == (stored.task_run().id, "part", {"x": 1})


def test_print_is_logged_when_the_task_asks_for_it(mode: Mode, stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    @mode.task(log_prints=True)
    async def told() -> None:
        print("told")

    @mode.task(log_prints=False)
    async def quiet() -> None:
        print("quiet")

    @mode.flow(log_prints=True)
    async def work() -> None:
        await mode.call(told)
        await mode.call(quiet)

    mode.run(work)
    assert "told" in stored.logs() and "quiet" not in stored.logs()
    assert capsys.readouterr().out == "quiet\n"


# --- the documented door ------------------------------------------------------------------------------------------------------


def test_run_task_with_an_id_of_ones_own(mode: Mode, stored: Stored) -> None:
    from headrace.task_engine import run_task

    @mode.task
    async def part(x: int, y: int = 2) -> int:
        return x + y

    id = uuid4()
    assert mode.run(lambda: run_task(part, task_run_id=id, parameters={"x": 1})) == 3
    assert stored.task_run().id == id


def test_run_task_answers_states(mode: Mode) -> None:
    from headrace.task_engine import run_task

    @mode.task
    async def part(x: int) -> int:
        return 1 // x

    assert mode.run(lambda: run_task(part, parameters={"x": 0}, return_type="state")).is_failed()
    with pytest.raises(ZeroDivisionError):
        mode.run(lambda: run_task(part, parameters={"x": 0}))


def test_run_task_takes_dependencies_and_wait_for(stored: Stored) -> None:
    from headrace.model.task_runs import TaskRunResult
    from headrace.task_engine import run_task_sync

    @task
    def part(x: int) -> int:
        return x

    first = part(1, return_state=True)
    id = first.state_details.task_run_id
    run_task_sync(part, parameters={"x": 2}, wait_for=[first], dependencies={"x": [TaskRunResult(id=id)]})
    inputs = stored.task_runs()[1].task_inputs
    assert [one.id for one in inputs["wait_for"]] == [id] == [one.id for one in inputs["x"]]


def test_run_task_of_generators() -> None:
    from headrace.task_engine import run_task

    @task
    def numbers() -> Any:
        yield from range(3)

    assert list(run_task(numbers)) == [0, 1, 2]


def test_run_task_in_a_context_that_was_carried_along(stored: Stored) -> None:
    from headrace.context import serialize_context
    from headrace.task_engine import run_task_sync

    carried: list[Any] = []

    @task
    def part() -> None: ...

    @flow
    def work() -> None:
        carried.append(serialize_context())

    work()
    run_task_sync(part, context=carried[0])
    assert stored.task_run().flow_run_id == stored.flow_run().id


# --- limits of tags --------------------------------------------------------------------------------------------------------------


def test_no_more_runs_of_a_tag_than_its_limit(stored: Stored) -> None:
    import threading

    stored.client.create_concurrency_limit("narrow", 1)
    inside: list[int] = []
    most: list[int] = []
    pause = threading.Event()

    @task(tags=["narrow"])
    def part(x: int) -> None:
        inside.append(x)
        most.append(len(inside))
        pause.wait(0.01)
        inside.remove(x)

    @flow
    def work() -> None:
        part.map(range(4)).wait()

    work()
    assert most == [1, 1, 1, 1]
    assert {run.state.name for run in stored.task_runs()} == {"Completed"}


def test_a_limit_of_nothing_fails_the_run_at_once(mode: Mode, stored: Stored) -> None:
    from headrace.exceptions import ConcurrencySlotAcquisitionError

    stored.client.create_concurrency_limit("closed", 0)

    @mode.task(tags=["closed"])
    async def part() -> None: ...

    with pytest.raises(ConcurrencySlotAcquisitionError, match="closed"):
        mode.run(part)
    assert stored.task_history() == ["Pending", "Failed"]
