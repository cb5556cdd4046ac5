"""State hooks of flows and tasks."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from engine.modes import Mode, Stored
from headrace import flow, task
from headrace.states import Cancelled

HOOKS = ["on_running", "on_completion", "on_failure", "on_crashed", "on_cancellation"]


class Calls(list[Any]):
    """Remembers (kind, name, state) of each call."""

    def hook(self, name: str) -> Any:
        def call(subject: Any, run: Any, state: Any) -> None:
            self.append((name, subject.name, run.name is not None, state.name))

        call.__name__ = name
        return call

    def all(self, *names: str) -> dict[str, Any]:
        return {name: [self.hook(name)] for name in names}


def names(calls: Calls) -> list[str]:
    return [call[0] for call in calls]


def test_hooks_of_a_flow_that_completes(mode: Mode) -> None:
    calls = Calls()

    @mode.flow(**calls.all(*HOOKS))
    async def work() -> None: ...

    mode.run(work)
    assert calls == [("on_running", "work", True, "Running"), ("on_completion", "work", True, "Completed")]


def test_hooks_of_a_flow_that_fails(mode: Mode) -> None:
    calls = Calls()

    @mode.flow(**calls.all(*HOOKS))
    async def work() -> None:
        raise ValueError

    mode.run(work, return_state=True)
    assert names(calls) == ["on_running", "on_failure"]


def test_hooks_of_a_flow_that_crashes(mode: Mode) -> None:
    calls = Calls()

    @mode.flow(**calls.all(*HOOKS))
    async def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mode.run(work)
    assert names(calls) == ["on_running", "on_crashed"]


def test_a_retried_failure_of_a_flow_is_no_failure(mode: Mode) -> None:
    calls = Calls()
    tried: list[int] = []

    @mode.flow(retries=1, **calls.all(*HOOKS))
    async def work() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError

    mode.run(work)
    assert names(calls) == ["on_running", "on_running", "on_completion"]


def test_invalid_parameters_run_on_failure_only(mode: Mode) -> None:
    calls = Calls()

    @mode.flow(**calls.all(*HOOKS))
    async def work(x: int) -> None: ...

    mode.run(work, "abc", return_state=True)
    assert names(calls) == ["on_failure"]


def test_flow_that_returns_cancelled_runs_neither_completion_nor_failure(mode: Mode) -> None:
    calls = Calls()

    @mode.flow(**calls.all(*HOOKS))
    async def work() -> Any:
        return Cancelled()

    mode.run(work, return_state=True)
    assert names(calls) == ["on_running"]


@pytest.mark.parametrize(("fails", "expected"), [(False, ["on_running", "on_completion"]), (True, ["on_running", "on_failure"])])
def test_hooks_of_tasks(mode: Mode, fails: bool, expected: list[str]) -> None:
    calls = Calls()

    @mode.task(**calls.all(*HOOKS[:3]))
    async def part() -> None:
        if fails:
            raise ValueError

    @mode.flow
    async def work() -> None:
        await mode.call(part, return_state=True)

    mode.run(part, return_state=True)
    mode.run(work)
    assert names(calls) == expected * 2


def test_on_running_of_a_task_runs_each_attempt_and_on_failure_once(mode: Mode) -> None:
    calls = Calls()

    @mode.task(retries=2, **calls.all(*HOOKS[:3]))
    async def part() -> None:
        raise ValueError

    mode.run(part, return_state=True)
    assert [(call[0], call[3]) for call in calls] == [
        ("on_running", "Running"), ("on_running", "Retrying"), ("on_running", "Retrying"), ("on_failure", "Failed"),
    ]  # fmt: skip


def test_on_failure_is_not_called_when_a_retry_succeeds(mode: Mode) -> None:
    calls = Calls()
    tried: list[int] = []

    @mode.task(retries=2, **calls.all(*HOOKS[:3]))
    async def part() -> None:
        tried.append(1)
        if len(tried) < 3:
            raise ValueError

    mode.run(part)
    assert names(calls) == ["on_running"] * 3 + ["on_completion"]


def test_cached_run_completes_and_has_been_running(mode: Mode, stored: Stored) -> None:
    calls = Calls()

    @mode.task(persist_result=True, cache_key_fn=lambda *_: "key", **calls.all(*HOOKS[:3]))
    async def part() -> int:
        return 1

    assert (mode.run(part), mode.run(part)) == (1, 1)
    assert [(call[0], call[3]) for call in calls] == [
        ("on_running", "Running"), ("on_completion", "Completed"), ("on_running", "Running"), ("on_completion", "Cached"),
    ]  # fmt: skip
    assert stored.task_runs()[1].run_count == 1


def test_a_raising_hook_is_logged_by_name_and_stops_nothing(mode: Mode, stored: Stored) -> None:
    calls = Calls()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("in the hook")

    hooks = [calls.hook("first"), broken, calls.hook("third")]

    @mode.task(on_completion=hooks)
    async def part() -> None: ...

    @mode.flow(on_completion=hooks)
    async def work() -> None:
        await mode.call(part)

    mode.run(work)
    assert names(calls) == ["first", "third"] * 2
    assert (stored.flow_run().state.name, stored.task_run().state.name) == ("Completed", "Completed")
    assert stored.logs().count("running hook 'broken': ZeroDivisionError: in the hook") == 2


def test_async_hooks_are_awaited_in_both_modes(mode: Mode) -> None:
    import asyncio

    done: list[str] = []

    async def later(subject: Any, run: Any, state: Any) -> None:
        await asyncio.sleep(0)
        done.append(subject.name)

    @mode.task(on_completion=[later])
    async def part() -> None: ...

    @mode.flow(on_completion=[later], on_running=[later])
    async def work() -> None:
        await mode.call(part)
        part.submit().wait()

    mode.run(work)
    assert done == ["work", "part", "part", "work"]


def test_partials_and_callable_objects_are_hooks(mode: Mode, stored: Stored) -> None:
    done: list[Any] = []

    class Hook:
        def __call__(self, subject: Any, run: Any, state: Any) -> None:
            done.append("object")
            raise ValueError("told by class")

    def told(word: str, subject: Any, run: Any, state: Any) -> None:
        done.append(word)

    @mode.flow(on_completion=[partial(told, "partial"), Hook()])
    async def work() -> None: ...

    mode.run(work)
    assert done == ["partial", "object"]
    assert "running hook 'Hook': ValueError: told by class" in stored.logs()


def test_decorator_form_appends_and_returns_the_function() -> None:
    calls = Calls()

    @flow(on_completion=[calls.hook("first")])
    def work() -> None: ...

    @work.on_completion
    def second(*_: Any) -> None:
        calls.append(("second",))

    assert callable(second) and second.__name__ == "second"
    work()
    assert names(calls) == ["first", "second"]


def test_hooks_run_in_the_context_of_their_run(mode: Mode, stored: Stored) -> None:
    from headrace import get_run_logger
    from headrace.runtime import flow_run, task_run

    seen: list[Any] = []

    def look(subject: Any, run: Any, state: Any) -> None:
        seen.append((flow_run.name, task_run.name))
        get_run_logger().info("from the hook")

    @mode.task(on_completion=[look])
    async def part() -> None: ...

    @mode.flow(on_completion=[look], flow_run_name="the-flow")
    async def work() -> None:
        await mode.call(part)

    mode.run(work)
    assert seen == [("the-flow", "part-0"), ("the-flow", None)]
    assert stored.logs().count("from the hook") == 2


def test_hooks_see_the_result_of_the_state(mode: Mode) -> None:
    seen: list[Any] = []

    @mode.task(on_completion=[lambda task, run, state: seen.append(state)])
    async def part() -> int:
        return 3

    @mode.flow(on_completion=[lambda flow, run, state: seen.append(state)], on_failure=[lambda flow, run, state: seen.append(state)])
    async def work(x: int) -> float:
        await mode.call(part)
        return 1 / x

    mode.run(work, 2)
    mode.run(work, 0, return_state=True)
    assert [seen[0].result(), seen[1].result()] == [3, 0.5]
    with pytest.raises(ZeroDivisionError):
        seen[3].result()


def test_hook_of_a_deployment_like_method(stored: Stored) -> None:
    class Notifier:
        def __init__(self) -> None:
            self.told: list[str] = []

        def tell(self, flow: Any, run: Any, state: Any) -> None:
            self.told.append(state.name)

    notifier = Notifier()

    @task(on_completion=[notifier.tell])
    def part() -> None: ...

    part()
    assert notifier.told == ["Completed"]


def test_async_hook_of_a_blocking_flow_within_a_running_loop() -> None:
    import asyncio

    done: list[int] = []

    async def later(*_: Any) -> None:
        await asyncio.sleep(0)
        done.append(1)

    @flow(on_completion=[later])
    def work() -> int:
        return 1

    async def notebook() -> int:
        return work()

    assert (asyncio.run(notebook()), done) == (1, [1])
