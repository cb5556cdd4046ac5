"""Defining tasks: names, keys, options and what is refused."""

from __future__ import annotations

import pickle
import sys
from datetime import timedelta
from typing import Any

import cloudpickle
import pytest

from engine.modes import Stored
from headrace import flow, task
from headrace.cache_policies import INPUTS, NO_CACHE
from headrace.tasks import Task, exponential_backoff


def test_name_is_the_functions_name_unchanged() -> None:
    @task
    def my_task() -> None:
        """Say hello."""

    assert my_task.name == "my_task"
    assert my_task.description == "Say hello."


def test_two_bodies_of_one_name_have_different_keys() -> None:
    def make(text: str) -> Task[..., Any]:
        names: dict[str, Any] = {}
        exec(f"def work(): return {text}", names)
        return task(names["work"])

    one, same, other = make("1"), make("1"), make("2")
    assert one.task_key == same.task_key != other.task_key
    assert one.task_key.startswith("work-") and len(one.task_key) == len("work-") + 8


def test_callable_objects_are_named_by_their_class() -> None:
    class Worker:
        def __call__(self, x: int) -> int:
            return x + 1

    work = task(Worker())
    assert work.name == "Worker"
    assert work.task_key.startswith("Worker-")
    assert work(1) == 2


def test_exponential_backoff_doubles_and_is_bounded() -> None:
    assert exponential_backoff(10)(3) == [10, 20, 40]
    assert len(exponential_backoff(1)(60)) == 50


def test_backoff_is_asked_for_as_many_delays_as_there_are_retries() -> None:
    @task(retries=3, retry_delay_seconds=exponential_backoff(2))
    def work() -> None: ...

    assert work.retry_delay_seconds == [2, 4, 8]
    assert work.with_options(retries=2).retry_delay_seconds == [2, 4]


def test_with_options_replaces_tags_and_keeps_hooks() -> None:
    @task(tags=["a"], retries=2, cache_expiration=timedelta(days=1), timeout_seconds=3)
    def work() -> None: ...

    @work.on_completion
    def hook(*_: Any) -> None: ...

    @work.on_rollback
    def undo(_: Any) -> None: ...

    copy = work.with_options(tags=["b"], name="copy")
    assert (copy.tags, copy.name, copy.retries, copy.timeout_seconds) == ({"b"}, "copy", 2, 3.0)
    assert (copy.on_completion_hooks, copy.on_rollback_hooks) == ([hook], [undo])
    assert (work.tags, work.name) == ({"a"}, "work")


def test_retries_default_to_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_TASKS_DEFAULT_RETRIES", "4")
    monkeypatch.setenv("HEADRACE_TASKS_DEFAULT_RETRY_DELAY_SECONDS", "2")

    @task
    def work() -> None: ...

    assert (work.retries, work.retry_delay_seconds) == (4, 2)


@pytest.mark.parametrize("delay", ["x", [1, "x"], {}, True])
def test_retry_delay_of_a_wrong_type_is_refused(delay: Any) -> None:
    with pytest.raises(TypeError, match="retry_delay_seconds"):
        task(retries=1, retry_delay_seconds=delay)(len)


@pytest.mark.parametrize("delay", [[1] * 51, lambda retries: [1] * 51])
def test_more_than_fifty_delays_are_refused(delay: Any) -> None:
    with pytest.raises(ValueError, match="50 retry delays"):

        @task(retries=1, retry_delay_seconds=delay)
        def work() -> None: ...


def test_wrong_options_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="retry_jitter_factor"):

        @task(retry_jitter_factor=-1)
        def first() -> None: ...

    with pytest.raises(TypeError, match="retry_condition_fn"):

        @task(retry_condition_fn="x")
        def second() -> None: ...

    with pytest.raises(TypeError, match="task_run_name"):

        @task(task_run_name=5)
        def third() -> None: ...

    with pytest.raises(TypeError, match="Did you mean 'retries'"):
        task(retrys=1)
    with pytest.raises(TypeError, match="'fn' must be callable"):
        task(5)  # type: ignore[call-overload]  # what is tested


@pytest.mark.parametrize("option", ["on_completion", "on_failure", "on_running"])
@pytest.mark.parametrize("wrong", [len, [1]])
def test_hooks_must_be_an_iterable_of_callables(option: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=option):

        @task(**{option: wrong})
        def work() -> None: ...


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"cache_policy": INPUTS}, True),
        ({"cache_policy": NO_CACHE}, None),
        ({"cache_key_fn": lambda context, parameters: "k"}, True),
        ({"result_storage_key": "k"}, True),
        ({"result_serializer": "json"}, True),
        ({"result_storage": "local-file-system/x"}, True),
        ({"cache_policy": INPUTS, "persist_result": False}, False),
    ],
)
def test_persistence_follows_from_the_other_options(options: dict[str, Any], expected: bool | None) -> None:
    @task(**options)
    def work() -> None: ...

    assert work.persist_result is expected


def test_caching_without_persistence_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    @task(cache_policy=INPUTS, persist_result=False)
    def work() -> None: ...

    assert "persist_result=False" in caplog.text


def test_key_function_wins_over_the_policy_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    @task(cache_policy=INPUTS, cache_key_fn=lambda context, parameters: "k")
    def work() -> None: ...

    assert "cache_key_fn" in caplog.text
    assert work.cache_policy.compute_key(None, {}, {}) == "k"  # type: ignore[arg-type]  # the function does not look at it


def test_a_pickled_task_carries_its_source() -> None:
    @task
    def work() -> int:
        return 41 + 1

    copy = pickle.loads(cloudpickle.dumps(work))
    assert "41 + 1" in copy.source_code
    assert copy.task_key == work.task_key
    assert copy.fn() == 42


class Methods:
    factor = 3

    def __init__(self) -> None:
        self.factor = 5

    @task
    def plain(self, x: int) -> int:
        return self.factor * x

    @task
    @classmethod
    def outside(cls, x: int) -> int:
        return cls.factor * x

    @classmethod
    @task
    def inside(cls, x: int) -> int:
        return cls.factor * x

    @task
    @staticmethod
    def still_outside(x: int) -> int:
        return x

    @staticmethod
    @task
    def still_inside(x: int) -> int:
        return x


# Since Python 3.13 `classmethod` binds what it wraps by itself, so there the decorator goes outside of it (the docs say so).
INSIDE_CLASSMETHOD = [("inside", 6)] if sys.version_info < (3, 13) else []


@pytest.mark.parametrize(("name", "expected"), [("plain", 10), ("outside", 6), *INSIDE_CLASSMETHOD, ("still_outside", 2), ("still_inside", 2)])
def test_methods_are_tasks_in_either_order_of_decorators(name: str, expected: int, stored: Stored) -> None:
    @flow
    def work() -> Any:
        method = getattr(Methods(), name)
        return method(2), method.submit(2).result(), method.map([2, 2]).result()

    assert work() == (expected, expected, [expected, expected])
    assert {run.state.name for run in stored.task_runs()} == {"Completed"}


def test_fn_is_the_bare_function(stored: Stored) -> None:
    @task
    def work(x: int) -> int:
        return x

    assert work.fn(3) == 3
    assert stored.task_runs() == []
