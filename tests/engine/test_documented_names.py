"""Documented names of tasks, states and waiting beside the decorators."""

from __future__ import annotations

import asyncio
import inspect
import threading

from headrace import Task, flow, get_client, task
from headrace.assets import materialize
from headrace.client.schemas.objects import FlowRun
from headrace.exceptions import exception_traceback
from headrace.flow_runs import wait_for_flow_run
from headrace.states import format_exception
from headrace.tasks import MaterializingTask, TaskOptions, task_input_hash


def test_typed_options_are_those_of_the_task() -> None:
    assert list(TaskOptions.__annotations__) == [name for name in inspect.signature(Task).parameters if name != "fn"]


def test_input_hash_finds_a_run_with_equal_arguments() -> None:
    calls: list[int] = []

    @task(cache_key_fn=task_input_hash)
    def work(number: int) -> int:
        calls.append(number)
        return number

    @flow
    def main() -> list[int]:
        return [work(1), work(1), work(2)]

    assert main() == [1, 1, 2]
    assert calls == [1, 2]


def test_input_hash_of_what_cannot_be_hashed_is_no_key() -> None:
    calls: list[object] = []

    @task(cache_key_fn=task_input_hash)
    def work(lock: object) -> int:
        calls.append(lock)
        return len(calls)

    @flow
    def main() -> tuple[int, int]:
        lock = threading.Lock()
        return work(lock), work(lock)

    assert main() == (1, 2)


def test_materialize_makes_the_documented_class() -> None:
    @materialize("s3://bucket/data.csv")
    def build() -> None: ...

    assert isinstance(build, MaterializingTask)


def test_traceback_text_names_the_cause() -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer") from inner
    except ValueError as error:
        text = exception_traceback(error)
    assert text.startswith("Traceback")
    assert "KeyError: 'inner'" in text
    assert text.endswith("ValueError: outer\n")


def test_a_run_is_awaited_through_the_client_that_is_given() -> None:
    @flow
    def work() -> int:
        return 1

    run_id = work(return_state=True).state_details.flow_run_id
    assert run_id is not None

    async def main() -> FlowRun:
        async with get_client() as client:
            return await wait_for_flow_run(run_id, timeout=5, poll_interval=1, client=client)

    run = asyncio.run(main())
    assert run.state is not None
    assert run.state.is_completed()


def test_traceback_can_be_another_than_the_exceptions_own() -> None:
    try:
        raise ValueError("shown")
    except ValueError as error:
        tb = error.__traceback__
    assert "in test_traceback_can_be_another" in format_exception(KeyError("x"), tb)
