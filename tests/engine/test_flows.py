"""Defining flows: names, versions, options and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from headrace import flow, task
from headrace.exceptions import InvalidNameError, ReservedArgumentError
from headrace.flows import Flow
from headrace.task_runners import ThreadPoolTaskRunner


def test_name_is_the_functions_name_with_hyphens() -> None:
    @flow
    def my_flow() -> None:
        """Say hello."""

    assert my_flow.name == "my-flow"
    assert my_flow.description == "Say hello."


def test_lambda_is_an_unknown_one() -> None:
    assert Flow(lambda: 1).name == "unknown-lambda"


def test_decorator_takes_options() -> None:
    @flow(name="Other name", version="7", description="told", retries=2, retry_delay_seconds=3, timeout_seconds=5, log_prints=True)
    def work() -> None: ...

    assert (work.name, work.version, work.description) == ("Other name", "7", "told")
    assert (work.retries, work.retry_delay_seconds, work.timeout_seconds, work.log_prints) == (2, 3, 5.0, True)


def test_version_follows_the_content_of_the_file(tmp_path: Path) -> None:
    def load(text: str) -> Any:
        path = tmp_path / "flows.py"
        path.write_text(text)
        names: dict[str, Any] = {}
        exec(compile(text, str(path), "exec"), names)
        return names["work"]

    first = load("from headrace import flow\n\n@flow\ndef work(): pass\n").version
    second = load("from headrace import flow\n\n@flow\ndef work(): return 1\n").version
    assert first and second and first != second


def test_version_is_none_without_a_file() -> None:
    names: dict[str, Any] = {}
    exec("from headrace import flow\n@flow\ndef work(): pass\n", names)
    assert names["work"].version is None


def test_task_runner_is_a_class_or_an_instance_and_threads_by_default() -> None:
    @flow
    def plain() -> None: ...

    assert isinstance(plain.task_runner, ThreadPoolTaskRunner)
    assert isinstance(plain.with_options(task_runner=ThreadPoolTaskRunner).task_runner, ThreadPoolTaskRunner)
    assert plain.with_options(task_runner=ThreadPoolTaskRunner(max_workers=3)).task_runner.max_workers == 3


def test_retries_default_to_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_FLOWS_DEFAULT_RETRIES", "4")
    monkeypatch.setenv("HEADRACE_FLOWS_DEFAULT_RETRY_DELAY_SECONDS", "2")

    @flow
    def work() -> None: ...

    assert (work.retries, work.retry_delay_seconds) == (4, 2)


def test_with_options_changes_a_copy_and_keeps_the_rest() -> None:
    @flow(name="first", retries=1, persist_result=True, timeout_seconds=9)
    def work(x: int = 1) -> int:
        return x

    @work.on_completion
    def hook(*_: Any) -> None: ...

    changed = work.with_options(name="second", retries=3)
    assert (work.name, work.retries) == ("first", 1)
    assert (changed.name, changed.retries, changed.persist_result, changed.timeout_seconds) == ("second", 3, True, 9.0)
    assert changed.on_completion_hooks == [hook]
    assert changed is not work and changed.fn is work.fn


def test_with_options_takes_none_as_a_value() -> None:
    @flow(persist_result=True, log_prints=True)
    def work() -> None: ...

    changed = work.with_options(persist_result=None, log_prints=None)
    assert changed.persist_result is None and changed.log_prints is None


def test_hooks_of_a_copy_are_its_own() -> None:
    @flow
    def work() -> None: ...

    copy = work.with_options(name="copy")
    copy.on_failure(print)
    assert work.on_failure_hooks == [] and copy.on_failure_hooks == [print]


@pytest.mark.parametrize("option", ["result_storage", "result_serializer"])
def test_storage_and_serializer_imply_persistence(option: str) -> None:
    @flow(**{option: "json" if option == "result_serializer" else "local-file-system/x"})
    def work() -> None: ...

    assert work.persist_result is True


def test_unsaved_storage_is_accepted_at_definition(tmp_path: Path) -> None:
    from headrace.filesystems import LocalFileSystem

    @flow(result_storage=LocalFileSystem(basepath=str(tmp_path / "kept")))
    def work() -> int:
        return 3

    assert work() == 3
    assert any((tmp_path / "kept").iterdir())


@pytest.mark.parametrize("name", ["a/b", "50%", "a&b", "a>b", "a<b"])
def test_forbidden_characters_in_a_name_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="not allowed"):

        @flow(name=name)
        def work() -> None: ...


def test_name_must_be_text() -> None:
    with pytest.raises(TypeError, match="Expected string for flow parameter 'name'; got int"):
        flow(name=5)
    with pytest.raises(TypeError, match="Did you mean"):
        flow(name=lambda: "x")


@pytest.mark.parametrize("option", ["on_completion", "on_failure", "on_cancellation", "on_crashed", "on_running"])
@pytest.mark.parametrize("wrong", [len, [1], "name"])
def test_hooks_must_be_an_iterable_of_callables(option: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=option):

        @flow(**{option: wrong})
        def work() -> None: ...


@pytest.mark.parametrize("decorator", [flow, task])
@pytest.mark.parametrize("name", ["wait_for", "return_state"])
def test_arguments_that_the_engine_uses_are_reserved(decorator: Any, name: str) -> None:
    names: dict[str, Any] = {}
    exec(f"def work({name}): pass", names)
    with pytest.raises(ReservedArgumentError, match=name):
        decorator(names["work"])


def test_flow_run_name_must_be_text_or_callable() -> None:
    with pytest.raises(TypeError, match="Expected string or callable for 'flow_run_name'; got int"):

        @flow(flow_run_name=5)
        def work() -> None: ...


def test_unknown_option_names_the_near_one() -> None:
    with pytest.raises(TypeError, match="Did you mean 'retries'"):
        flow(retrys=1)

    @flow
    def work() -> None: ...

    with pytest.raises(TypeError, match="Did you mean 'retries'"):
        work.with_options(retrys=1)


def test_something_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="'fn' must be callable"):
        flow(5)  # type: ignore[call-overload]  # what is tested


def test_parameters_have_a_schema_with_positions_and_descriptions() -> None:
    @flow
    def work(x: int, y: str = "a") -> None:
        """Work.

        Args:
            x: how much
        """

    schema = work.parameters.model_dump()
    assert list(schema["properties"]) == ["x", "y"]
    assert schema["required"] == ["x"]
    assert (schema["properties"]["x"]["type"], schema["properties"]["x"]["position"]) == ("integer", 0)
    assert schema["properties"]["x"]["description"] == "how much"
    assert (schema["properties"]["y"]["default"], schema["properties"]["y"]["position"]) == ("a", 1)


def test_signature_that_cannot_be_validated_is_refused_unless_validation_is_off() -> None:
    def work(model_config: int) -> int:
        return model_config

    with pytest.raises(ValueError, match="model_config"):
        flow(work)
    assert flow(validate_parameters=False)(work)(3) == 3


class Methods:
    factor = 3

    def __init__(self) -> None:
        self.factor = 5

    @flow
    def plain(self, x: int) -> int:
        return self.factor * x

    @flow
    @classmethod
    def outside(cls, x: int) -> int:
        return cls.factor * x

    @classmethod
    @flow
    def inside(cls, x: int) -> int:
        return cls.factor * x

    @flow
    @staticmethod
    def still_outside(x: int) -> int:
        return x

    @staticmethod
    @flow
    def still_inside(x: int) -> int:
        return x


# Since Python 3.13 `classmethod` binds what it wraps by itself, so there the decorator goes outside of it (the docs say so).
INSIDE_CLASSMETHOD = [("inside", 6)] if sys.version_info < (3, 13) else []


@pytest.mark.parametrize(("name", "expected"), [("plain", 10), ("outside", 6), *INSIDE_CLASSMETHOD, ("still_outside", 2), ("still_inside", 2)])
def test_methods_are_flows_in_either_order_of_decorators(name: str, expected: int, stored: Any) -> None:
    assert getattr(Methods(), name)("2") == expected
    assert stored.flow_run().parameters == {"x": 2}


def test_binding_an_instance_leaves_the_class_alone() -> None:
    one = Methods()
    assert one.plain.ismethod and not Methods.plain.ismethod
    assert Methods.plain(one, 1) == 5


def test_callable_objects_are_flows(stored: Any) -> None:
    class Worker:
        def __call__(self, x: int) -> int:
            return x + 1

    work = flow(Worker())
    assert work("3") == 4
    assert work.name == "Worker"
    assert stored.flow_run().state.name == "Completed"


def test_fn_is_the_bare_function(stored: Any) -> None:
    @flow
    def work(x: int) -> int:
        return x

    assert work.fn(3) == 3
    assert stored.flow_runs() == []
