"""Names of runs, their templates, dynamic keys, and tags."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.modes import Mode, Stored
from headrace import flow, tags, task


def test_flow_runs_get_two_words(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> None: ...

    mode.run(work)
    assert stored.flow_run().name.count("-") == 1


def test_task_runs_are_numbered_by_task_and_call(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def first() -> None: ...

    @mode.task
    async def second() -> None: ...

    @mode.flow
    async def work() -> None:
        for one in (first, first, second):
            await mode.call(one)

    mode.run(work)
    assert [(run.name, run.dynamic_key) for run in stored.task_runs()] == [("first-0", "0"), ("first-1", "1"), ("second-0", "0")]


def test_templates_take_parameters_with_attributes_and_keys(mode: Mode, stored: Stored) -> None:
    @mode.task(task_run_name="t-{x}-{y[k]}-{z.w}-{d}")
    async def part(x: int, y: Any, z: Any, d: str = "default") -> None: ...

    @mode.flow(flow_run_name="f-{x:03}")
    async def work(x: int) -> None:
        await mode.call(part, x, {"k": 2}, SimpleNamespace(w=3))

    mode.run(work, "1")
    assert stored.flow_run().name == "f-001"
    assert stored.task_run().name == "t-1-2-3-default"


def test_templates_see_resolved_parameters(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def one() -> int:
        return 1

    @mode.task(task_run_name="got-{x}")
    async def part(x: int) -> None: ...

    @mode.flow
    async def work() -> None:
        part.submit(one.submit())

    mode.run(work)
    assert stored.task_run("got-1")


def test_names_may_be_made_by_functions(mode: Mode, stored: Stored) -> None:
    @mode.task(task_run_name=lambda: "plain")
    async def plain() -> None: ...

    @mode.task(task_run_name=lambda parameters: f"x-{parameters['x']}")
    async def told(x: int) -> None: ...

    @mode.flow(flow_run_name=lambda: "made")
    async def work() -> None:
        await mode.call(plain)
        await mode.call(told, 4)

    mode.run(work)
    assert stored.flow_run().name == "made"
    assert [run.name for run in stored.task_runs()] == ["plain", "x-4"]


def test_runs_are_named_before_they_run(mode: Mode) -> None:
    from headrace.runtime import flow_run, task_run

    @mode.task(task_run_name="t-{x}")
    async def part(x: int) -> str:
        return task_run.name

    @mode.flow(flow_run_name="f-{x}")
    async def work(x: int) -> Any:
        return flow_run.name, await mode.call(part, x)

    assert mode.run(work, 1) == ("f-1", "t-1")


def test_name_of_a_task_is_made_once_for_all_attempts(mode: Mode, stored: Stored) -> None:
    made: list[int] = []
    tried: list[int] = []

    @mode.task(task_run_name=lambda: made.append(1) or f"name-{len(made)}", retries=2)
    async def part() -> None:
        tried.append(1)
        if len(tried) < 3:
            raise ValueError

    mode.run(part)
    assert (stored.task_run().name, len(made), len(tried)) == ("name-1", 1, 3)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("t-{wrong}", KeyError, "wrong"), (lambda: 5, TypeError, "int"), ("t-{x.wrong}", AttributeError, "wrong"), ("t-{", ValueError, "t-")],
)
def test_task_whose_name_cannot_be_made_fails_with_a_clear_message(mode: Mode, stored: Stored, name: Any, error: Any, message: str) -> None:
    ran: list[int] = []

    @mode.task(task_run_name=name)
    async def part(x: int) -> None:
        ran.append(1)

    with pytest.raises(error, match=message):
        mode.run(part, 1)
    run = stored.task_run()
    assert (run.state.type, run.state.name) == ("FAILED", "Failed")
    assert message in run.state.message and "task_run_name" in run.state.message
    assert ran == []


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("f-{wrong}", KeyError, "wrong"), (lambda: 5, TypeError, "int"), ("f-{x.wrong}", AttributeError, "wrong"), ("f-{", ValueError, "f-")],
)
def test_flow_whose_name_cannot_be_made_fails_with_a_clear_message(mode: Mode, stored: Stored, name: Any, error: Any, message: str) -> None:
    ran: list[int] = []

    @mode.flow(flow_run_name=name)
    async def work(x: int) -> None:
        ran.append(1)

    with pytest.raises(error, match=message):
        mode.run(work, 1)
    run = stored.flow_run()
    assert (run.state.type, run.state.name) == ("FAILED", "Failed")
    assert message in run.state.message and "flow_run_name" in run.state.message
    assert ran == []


def test_function_that_makes_a_name_and_raises_fails_the_run(mode: Mode, stored: Stored) -> None:
    def name() -> str:
        raise ZeroDivisionError("in the name")

    @mode.task(task_run_name=name)
    async def part() -> None: ...

    @mode.flow(flow_run_name=name)
    async def work() -> None: ...

    for one in (part, work):
        with pytest.raises(ZeroDivisionError):
            mode.run(one)
    assert (stored.task_run().state.name, stored.flow_run().state.name) == ("Failed", "Failed")
    assert "in the name" in stored.flow_run().state.message


def test_tags_of_contexts_and_tasks_add_up(mode: Mode, stored: Stored) -> None:
    @mode.task(tags=["a"])
    async def part() -> None: ...

    @mode.flow
    async def work() -> None:
        with tags("x"):
            with tags("y", "a") as present:
                assert present == {"x", "y", "a", "outer"}
                await mode.call(part)
                part.submit().wait()
            part.with_options(name="after").submit().wait()

    with tags("outer"):
        mode.run(work)
    assert stored.flow_run().tags == ["outer"]
    assert [sorted(run.tags) for run in stored.task_runs()] == [["a", "outer", "x", "y"]] * 2 + [["a", "outer", "x"]]


def test_tags_reach_subflows_and_threads(stored: Stored) -> None:
    @task
    def part() -> None: ...

    @flow
    def child() -> None:
        part.submit()

    @flow
    def parent() -> None:
        with tags("x"):
            child()

    parent()
    assert [run.tags for run in stored.flow_runs()] == [[], ["x"]]
    assert stored.task_run("part-0").tags == ["x"]


def test_tags_end_with_their_block(stored: Stored) -> None:
    @task
    def part() -> None: ...

    with tags("x"):
        pass
    part()
    assert stored.task_run().tags == []
