"""Generator flows and tasks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.modes import Stored
from headrace import flow, task


def collect(kind: str, function: Any, *args: Any) -> list[Any]:
    """Iterate a flow or task to its end."""
    if kind == "blocking":
        return list(function(*args))

    async def later() -> list[Any]:
        return [value async for value in function(*args)]

    return asyncio.run(later())


@pytest.fixture(params=["blocking", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def numbers(kind: str) -> Any:
    if kind == "blocking":

        def count(upto: int, fails: bool = False) -> Any:
            yield from range(upto)
            if fails:
                raise ValueError("bad")

    else:

        async def count(upto: int, fails: bool = False) -> Any:
            for number in range(upto):
                yield number
            if fails:
                raise ValueError("bad")

    return count


@pytest.mark.parametrize("decorator", [flow, task])
def test_values_are_yielded_and_the_run_completes(kind: str, decorator: Any, stored: Stored) -> None:
    assert collect(kind, decorator(numbers(kind)), 3) == [0, 1, 2]
    history = stored.flow_history() if decorator is flow else stored.task_history()
    assert history == ["Pending", "Running", "Completed"]


def test_run_is_running_while_it_is_iterated(stored: Stored) -> None:
    @flow
    def work() -> Any:
        yield 1
        yield 2

    values = work()
    assert stored.flow_runs() == []
    assert next(values) == 1
    assert stored.flow_run().state.name == "Running"
    assert list(values) == [2]
    assert stored.flow_run().state.name == "Completed"


@pytest.mark.parametrize("decorator", [flow, task])
def test_failure_is_raised_to_the_consumer(kind: str, decorator: Any, stored: Stored) -> None:
    with pytest.raises(ValueError, match="bad"):
        collect(kind, decorator(numbers(kind)), 2, True)
    run = stored.flow_run() if decorator is flow else stored.task_run()
    assert (run.state.name, "ValueError: bad" in run.state.message) == ("Failed", True)


@pytest.mark.parametrize("decorator", [flow, task])
def test_closing_early_completes_the_run_and_closes_the_users_generator(decorator: Any, stored: Stored) -> None:
    closed: list[int] = []

    @decorator
    def work() -> Any:
        try:
            yield from range(10)
        finally:
            closed.append(1)

    values = work()
    assert next(values) == 0
    values.close()
    assert closed == [1]
    run = stored.flow_run() if decorator is flow else stored.task_run()
    assert run.state.name == "Completed"


def test_closing_an_async_one_early_completes_the_run(stored: Stored) -> None:
    @flow
    async def work() -> Any:
        for number in range(10):
            yield number

    async def first() -> int:
        values = work()
        async for number in values:
            await values.aclose()
            return number
        return -1

    assert asyncio.run(first()) == 0
    assert stored.flow_run().state.name == "Completed"


@pytest.mark.parametrize("decorator", [flow, task])
def test_state_cannot_be_asked_for(kind: str, decorator: Any) -> None:
    with pytest.raises(ValueError, match="generator"):
        decorator(numbers(kind))(3, return_state=True)


def test_submitted_generator_gives_the_list_of_its_values(kind: str, stored: Stored) -> None:
    count = task(numbers(kind))

    @flow
    def work() -> Any:
        return count.submit(3).result(), count.map([1, 2]).result()

    assert work() == ([0, 1, 2], [[0], [0, 1]])


def test_submitted_generator_that_fails() -> None:
    count = task(numbers("blocking"))

    @flow
    def work() -> str:
        return repr(count.submit(3, True).result(raise_on_failure=False))

    assert work() == "ValueError('bad')"


def test_generator_task_within_a_flow_is_traced(stored: Stored) -> None:
    @task
    def rows() -> Any:
        yield {"a": 1}

    @task
    def use(row: Any) -> int:
        return row["a"]

    @flow
    def work() -> int:
        return sum(use(row) for row in rows())

    assert work() == 1
    assert [one.id for one in stored.task_run("use-0").task_inputs["row"]] == [stored.task_run("rows-0").id]


def test_generator_flow_runs_tasks_between_its_values(stored: Stored) -> None:
    @task
    def double(x: int) -> int:
        return x * 2

    @flow
    def work() -> Any:
        for number in range(3):
            yield double(number)
        double.submit(5)

    assert list(work()) == [0, 2, 4]
    assert {run.state.name for run in stored.task_runs()} == {"Completed"}
    assert {run.flow_run_id for run in stored.task_runs()} == {stored.flow_run().id}


def test_context_of_the_consumer_is_untouched_between_values() -> None:
    from headrace.context import FlowRunContext

    @flow
    def work() -> Any:
        assert FlowRunContext.get() is not None
        yield 1
        assert FlowRunContext.get() is not None
        yield 2

    values = work()
    next(values)
    assert FlowRunContext.get() is None
    next(values)
    assert FlowRunContext.get() is None
    values.close()


def test_two_generators_interleave(stored: Stored) -> None:
    from headrace.runtime import flow_run

    @flow(flow_run_name="run-{name}")
    def work(name: str) -> Any:
        yield flow_run.name
        yield flow_run.name

    a, b = work("a"), work("b")
    assert [next(a), next(b), next(a), next(b)] == ["run-a", "run-b", "run-a", "run-b"]
    a.close()
    b.close()
    assert [run.state.name for run in stored.flow_runs()] == ["Completed"] * 2


def test_generator_task_is_tried_again_from_its_start(stored: Stored) -> None:
    tried: list[int] = []

    @task(retries=1)
    def work() -> Any:
        tried.append(1)
        yield len(tried)
        if len(tried) == 1:
            raise ValueError("bad")

    assert list(work()) == [1, 2]
    assert stored.task_history() == ["Pending", "Running", "Retrying", "Completed"]


def test_crash_in_a_generator(stored: Stored) -> None:
    @flow
    def work() -> Any:
        yield 1
        raise KeyboardInterrupt

    values = work()
    next(values)
    with pytest.raises(KeyboardInterrupt):
        next(values)
    assert stored.flow_run().state.name == "Crashed"


def test_invalid_parameters_of_a_generator_flow(stored: Stored) -> None:
    from headrace.exceptions import ParameterTypeError

    with pytest.raises(ParameterTypeError):
        list(flow(numbers("blocking"))("abc"))
    assert stored.flow_run().state.name == "Failed"


def test_failed_upstream_of_a_generator_task() -> None:
    from headrace.exceptions import UpstreamTaskError

    @task
    def bad() -> None:
        raise ValueError

    @task
    def rows(x: Any) -> Any:
        yield x

    @flow
    def work() -> None:
        with pytest.raises(UpstreamTaskError):
            list(rows(bad.submit()))

    work()
