"""Flows in flows and tasks, and the two ways of waiting side by side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.modes import Mode, Stored
from headrace import flow, task

pytestmark = pytest.mark.usefixtures("client")


def test_child_run_is_tracked_by_a_task_run_of_the_parent(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def child(x: int) -> int:
        return x + 1

    @mode.flow
    async def parent() -> int:
        return await mode.call(child, 1)

    assert mode.run(parent) == 2
    above, below = stored.flow_runs()
    tracking = stored.task_run()
    assert (tracking.flow_run_id, below.parent_task_run_id) == (above.id, tracking.id)
    assert tracking.name.startswith("child")
    assert tracking.state.name == "Completed"
    assert tracking.state.state_details.child_flow_run_id == below.id


def test_failure_of_a_child_is_raised_unless_its_state_is_asked_for(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def child() -> None:
        raise ValueError("bad")

    @mode.flow
    async def parent() -> str:
        with pytest.raises(ValueError, match="bad"):
            await mode.call(child)
        return (await mode.call(child, return_state=True)).name

    assert mode.run(parent) == "Failed"
    assert [run.state.name for run in stored.flow_runs()] == ["Completed", "Failed", "Failed"]
    assert [run.state.name for run in stored.task_runs()] == ["Failed", "Failed"]


@pytest.mark.parametrize("times", [1, 2])
def test_completed_child_is_used_again_when_the_parent_is_retried(mode: Mode, stored: Stored, times: int) -> None:
    ran: list[int] = []
    tried: list[int] = []

    @mode.flow
    async def child(x: int) -> int:
        ran.append(x)
        return x

    @mode.flow(retries=1)
    async def parent() -> list[int]:
        values = [await mode.call(child, number) for number in range(times)]
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("bad")
        return values

    assert mode.run(parent) == list(range(times))
    assert ran == list(range(times))
    assert len(stored.flow_runs()) == 1 + times and len(stored.task_runs()) == times


def test_failed_child_runs_again_when_the_parent_is_retried(mode: Mode, stored: Stored) -> None:
    tried: list[int] = []

    @mode.flow
    async def child() -> str:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("bad")
        return "good"

    @mode.flow(retries=1)
    async def parent() -> str:
        return await mode.call(child)

    assert mode.run(parent) == "good"
    assert len(tried) == 2
    assert stored.task_runs()[-1].state.name == "Completed"


def test_child_has_a_task_runner_of_its_own(stored: Stored) -> None:
    from headrace.context import FlowRunContext

    runners: list[Any] = []

    @flow
    def child() -> None:
        frame = FlowRunContext.get()
        assert frame is not None
        runners.append(frame.task_runner)

    @flow
    def parent() -> None:
        child()
        frame = FlowRunContext.get()
        assert frame is not None
        runners.append(frame.task_runner)

    parent()
    assert runners[0] is not runners[1]


def test_child_inherits_persistence_unless_it_says_otherwise(stored: Stored) -> None:
    @flow
    def inherits() -> int:
        return 1

    @flow(persist_result=False)
    def refuses() -> int:
        return 2

    @flow(persist_result=True)
    def parent() -> None:
        inherits()
        refuses()

    parent()
    _, first, second = stored.flow_runs()
    assert first.state.result() == 1
    assert second.state.data is None


def test_blocking_flow_in_an_async_one(stored: Stored) -> None:
    @flow
    def child() -> int:
        return 1

    @flow
    async def parent() -> int:
        return child()

    assert asyncio.run(parent()) == 1
    assert len(stored.flow_runs()) == 2


def test_async_flow_in_a_blocking_one_gives_a_coroutine(stored: Stored) -> None:
    @flow
    async def child() -> int:
        return 1

    @flow
    def parent() -> int:
        return asyncio.run(child())

    assert parent() == 1
    assert stored.flow_runs()[1].parent_task_run_id == stored.task_run().id


def test_children_side_by_side(stored: Stored) -> None:
    @flow
    async def child(x: int) -> int:
        await asyncio.sleep(0)
        return x

    @flow
    async def parent() -> list[int]:
        return await asyncio.gather(*(child(number) for number in range(3)))

    assert asyncio.run(parent()) == [0, 1, 2]
    assert len({run.parent_task_run_id for run in stored.flow_runs()[1:]}) == 3


def test_flow_in_a_task(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def child() -> int:
        return 1

    @mode.task
    async def part() -> int:
        return await mode.call(child)

    @mode.flow
    async def parent() -> Any:
        return await mode.call(part), part.submit().result()

    assert mode.run(parent) == (1, 1)
    tracking = [run for run in stored.task_runs() if run.name.startswith("child")]
    assert [one.task_inputs["__parents__"][0].id for one in tracking] == [run.id for run in stored.task_runs() if run.name.startswith("part")]


def test_flow_in_a_task_outside_flows(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def child() -> int:
        return 1

    @mode.task
    async def part() -> int:
        return await mode.call(child)

    assert mode.run(part) == 1
    assert stored.flow_run().state.name == "Completed"


def test_logs_speak_of_the_child_as_a_subflow(stored: Stored) -> None:
    @flow
    def child() -> None: ...

    @flow
    def parent() -> None:
        child()

    parent()
    assert f"Beginning subflow run '{stored.flow_runs()[1].name}' for flow 'child'" in stored.logs()


def test_recursion() -> None:
    @flow
    def down(n: int) -> int:
        return 0 if n == 0 else 1 + down(n - 1)

    assert down(5) == 5


def test_futures_given_to_a_child_are_its_inputs(stored: Stored) -> None:
    @task
    def one() -> int:
        return 1

    @flow
    def child(x: int) -> int:
        return x

    @flow
    def parent() -> int:
        return child(one.submit())

    assert parent() == 1
    tracking = next(run for run in stored.task_runs() if run.name.startswith("child"))
    assert [found.id for found in tracking.task_inputs["x"]] == [stored.task_run("one-0").id]


def test_blocking_doors_work_in_a_thread_with_a_running_loop() -> None:
    """A blocking flow within a running loop, as in a notebook."""

    @task
    def part() -> int:
        return 1

    @flow
    def work() -> Any:
        from headrace.variables import Variable

        Variable.set("name", "value")
        return part(), part.submit().result(), Variable.get("name")

    async def notebook() -> Any:
        return work()

    assert asyncio.run(notebook()) == (1, 1, "value")
