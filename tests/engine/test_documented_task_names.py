"""Names of `headrace.tasks` beside the decorator."""

from __future__ import annotations

import inspect
import threading

from headrace import Task, flow, task
from headrace.assets import materialize
from headrace.exceptions import exception_traceback
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
