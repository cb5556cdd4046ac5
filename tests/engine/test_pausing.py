"""Pausing, suspending and resuming flow runs, with and without input."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from engine.modes import Mode, Stored
from headrace import apause_flow_run, flow, pause_flow_run, resume_flow_run, suspend_flow_run, task
from headrace.exceptions import FlowPauseTimeout, FlowRunWaitTimeout, NotPausedError
from headrace.flow_runs import wait_for_flow_run
from headrace.input import RunInput

pytestmark = pytest.mark.usefixtures("client")

SECONDS_MAX = 10


class Resumer:
    """Resumes, from a thread of its own, each run that says it is about to pause."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def when_paused(self, run_id: UUID, *inputs: dict[str, Any] | None) -> None:
        """Resume the run as often as there are inputs, each time it is paused."""
        thread = threading.Thread(target=self._resume, args=(run_id, inputs))
        self._threads.append(thread)
        thread.start()

    def _resume(self, run_id: UUID, inputs: tuple[Any, ...]) -> None:
        stored, tick = Stored(), threading.Event()
        for given in inputs:
            for _ in range(SECONDS_MAX * 100):
                if stored.client.read_flow_run(run_id).state.is_paused():
                    break
                tick.wait(0.01)
            try:
                resume_flow_run(run_id, run_input=given)
            except BaseException as error:
                self.errors.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(SECONDS_MAX)


@pytest.fixture
def resumer() -> Generator[Resumer, None, None]:
    one = Resumer()
    yield one
    one.join()


def own_id() -> UUID:
    from headrace.context import FlowRunContext

    frame = FlowRunContext.get()
    assert frame is not None
    return frame.flow_run.id


def test_flow_goes_on_when_it_is_resumed(mode: Mode, stored: Stored, resumer: Resumer) -> None:
    @mode.flow
    async def work() -> str:
        resumer.when_paused(own_id(), None)
        answer = await mode.value(pause_flow_run(timeout=SECONDS_MAX))
        assert answer is None
        return "went on"

    assert mode.run(work) == "went on"
    assert stored.flow_history() == ["Pending", "Running", "Paused", "Running", "Completed"]
    assert resumer.errors == []


def test_other_coroutines_run_while_a_flow_is_paused(resumer: Resumer) -> None:
    @flow
    async def work() -> int:
        resumer.when_paused(own_id(), None)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        await apause_flow_run(timeout=SECONDS_MAX)
        ticking.cancel()
        return ticks

    assert asyncio.run(work()) > 2


def test_input_of_a_plain_type(mode: Mode, resumer: Resumer) -> None:
    @mode.flow
    async def work() -> int:
        resumer.when_paused(own_id(), {"value": 5})
        return await mode.value(pause_flow_run(wait_for_input=int, timeout=SECONDS_MAX))

    assert mode.run(work) == 5


class Answer(BaseModel):
    name: str
    age: int = 7


class Told(RunInput):
    word: str


@pytest.mark.parametrize(("kind", "given"), [(Answer, {"name": "Ann"}), (Told, {"word": "yes"})])
def test_input_of_a_model(mode: Mode, resumer: Resumer, kind: Any, given: Any) -> None:
    @mode.flow
    async def work() -> Any:
        resumer.when_paused(own_id(), given)
        return await mode.value(pause_flow_run(wait_for_input=kind, timeout=SECONDS_MAX))

    answer = mode.run(work)
    assert {name: getattr(answer, name) for name in given} == given


def test_input_that_does_not_fit_is_refused_and_the_run_stays_paused(resumer: Resumer, stored: Stored) -> None:
    @flow
    def work() -> int:
        resumer.when_paused(own_id(), {"value": "five"}, {"value": 5})
        return pause_flow_run(wait_for_input=int, timeout=SECONDS_MAX)

    assert work() == 5
    assert [type(error) for error in resumer.errors] == [ValueError]


def test_missing_input_is_refused(resumer: Resumer) -> None:
    @flow
    def work() -> int:
        resumer.when_paused(own_id(), None, {"value": 5})
        return pause_flow_run(wait_for_input=int, timeout=SECONDS_MAX)

    assert work() == 5
    assert len(resumer.errors) == 1


def test_nobody_resumes(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> None:
        await mode.value(pause_flow_run(timeout=0.1))

    with pytest.raises(FlowPauseTimeout, match="never resumed"):
        mode.run(work)
    assert stored.flow_run().state.name == "Failed"


def test_a_task_pauses_its_flow(resumer: Resumer, stored: Stored) -> None:
    @task
    def part(run_id: UUID) -> str:
        resumer.when_paused(run_id, None)
        pause_flow_run(timeout=SECONDS_MAX)
        return "went on"

    @flow
    def work() -> str:
        return part(own_id())

    assert work() == "went on"
    assert "Paused" in stored.flow_history()


def test_a_key_fires_once(resumer: Resumer, stored: Stored) -> None:
    @flow
    def work() -> str:
        resumer.when_paused(own_id(), None)
        pause_flow_run(timeout=SECONDS_MAX, key="once")
        pause_flow_run(timeout=SECONDS_MAX, key="once")
        return "went on"

    assert work() == "went on"
    assert stored.flow_history().count("Paused") == 1


def test_pauses_without_keys_fire_each(resumer: Resumer, stored: Stored) -> None:
    @flow
    def work() -> None:
        resumer.when_paused(own_id(), None, None)
        pause_flow_run(timeout=SECONDS_MAX)
        pause_flow_run(timeout=SECONDS_MAX)

    work()
    assert stored.flow_history().count("Paused") == 2


def test_pauses_fire_again_when_the_flow_is_retried(resumer: Resumer, stored: Stored) -> None:
    tried: list[int] = []

    @flow(retries=1)
    def work() -> None:
        resumer.when_paused(own_id(), None)
        pause_flow_run(timeout=SECONDS_MAX)
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("bad")

    work()
    assert stored.flow_history().count("Paused") == 2


def test_a_pause_with_input_fires_again_when_the_flow_is_retried(resumer: Resumer, stored: Stored) -> None:
    answers: list[Any] = []

    @flow(retries=1)
    def work() -> None:
        resumer.when_paused(own_id(), {"name": f"answer-{len(answers)}"})
        answers.append(pause_flow_run(wait_for_input=Answer, timeout=SECONDS_MAX).name)
        if len(answers) == 1:
            raise ValueError("bad")

    work()
    assert answers == ["answer-0", "answer-1"]


def test_outside_runs_nothing_can_be_paused_or_suspended() -> None:
    with pytest.raises(RuntimeError, match="within a flow run"):
        pause_flow_run()
    with pytest.raises(RuntimeError, match="within a flow run"):
        suspend_flow_run()


def test_run_that_is_not_paused_cannot_be_resumed(stored: Stored) -> None:
    @flow
    def work() -> None: ...

    work()
    with pytest.raises(NotPausedError, match="not paused"):
        resume_flow_run(stored.flow_run().id)


def test_suspending_needs_a_deployment(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def work() -> None:
        await mode.value(suspend_flow_run())

    with pytest.raises(RuntimeError, match="Flow run cannot be suspended: .*deployment"):
        mode.run(work)
    assert stored.flow_run().state.is_failed()


def test_subflows_and_tasks_cannot_be_suspended(mode: Mode) -> None:
    @mode.flow
    async def child() -> None:
        await mode.value(suspend_flow_run())

    @mode.task
    async def part() -> None:
        await mode.value(suspend_flow_run())

    @mode.flow
    async def parent() -> None:
        with pytest.raises(RuntimeError, match="Flow run cannot be suspended"):
            await mode.call(child)
        with pytest.raises(RuntimeError, match="Cannot suspend task runs"):
            await mode.call(part)

    mode.run(parent)


def test_waiting_for_a_run_to_end(stored: Stored) -> None:
    @flow
    def work() -> None: ...

    work()
    run = asyncio.run(wait_for_flow_run(stored.flow_run().id, log_states=True))
    assert run.state is not None and run.state.name == "Completed"


def test_waiting_for_a_run_gives_up(stored: Stored) -> None:
    @flow
    def work() -> None: ...

    run = stored.client.create_flow_run(work)
    with pytest.raises(FlowRunWaitTimeout, match="did not end"):
        asyncio.run(wait_for_flow_run(run.id, timeout=0))
