"""Flows by entrypoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace import flow
from headrace.flows import (
    is_entrypoint_async,
    load_flow_arguments_from_entrypoint,
    load_flow_from_entrypoint,
    load_function_and_convert_to_flow,
    safe_load_flow_from_entrypoint,
    select_flow,
)
from headrace.model.errors import MissingFlowError, ScriptError, UnspecifiedFlowError

GOOD = '''
from headrace import flow

RETRIES = 2

@flow(name="the-good", retries=RETRIES + 1, log_prints=True)
def good(a: int, b: str = "x"):
    """Do good."""
    return a

@flow
async def good_async(): ...

def plain(n=1):
    return n

class Holder:
    @flow
    @staticmethod
    def held():
        return "held"

number = 5
'''

BROKEN = GOOD.replace("from headrace import flow\n", "from headrace import flow\nimport no_such_package_xyz\n")


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "good_flows.py"
    path.write_text(GOOD)
    return str(path)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken_flows.py"
    path.write_text(BROKEN)
    return str(path)


def test_a_script_and_a_method_in_it_are_found(script: str) -> None:
    loaded = load_flow_from_entrypoint(f"{script}:good")
    assert (loaded.name, loaded.retries, loaded.description) == ("the-good", 3, "Do good.")
    assert load_flow_from_entrypoint(f"{script}:Holder.held").name == "held"


@pytest.mark.parametrize("entrypoint", ["good_flows:good", "good_flows.good"])
def test_a_module_is_found(script: str, entrypoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(script).parent))
    assert load_flow_from_entrypoint(entrypoint).name == "the-good"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        load_flow_from_entrypoint("nowhere.py:f")


def test_a_missing_flow_lists_near_names(script: str) -> None:
    with pytest.raises(MissingFlowError, match="Did you mean 'good'"):
        load_flow_from_entrypoint(f"{script}:goood")


def test_a_script_without_a_flow_name_is_refused(script: str) -> None:
    with pytest.raises(MissingFlowError, match="names no flow"):
        load_flow_from_entrypoint(script)


@pytest.mark.parametrize("name", ["plain", "number"])
def test_what_is_no_flow_is_refused(script: str, name: str) -> None:
    with pytest.raises(MissingFlowError, match="not a flow"):
        load_flow_from_entrypoint(f"{script}:{name}")


def test_a_script_that_raises_is_an_error_without_placeholders(broken: str) -> None:
    with pytest.raises(ScriptError, match="no_such_package_xyz") as raised:
        load_flow_from_entrypoint(f"{broken}:good", use_placeholder_flow=False)
    assert isinstance(raised.value.user_exc, ModuleNotFoundError)


def test_a_placeholder_has_the_declared_options_and_raises_when_called(broken: str) -> None:
    loaded = load_flow_from_entrypoint(f"{broken}:good")
    assert (loaded.name, loaded.retries, loaded.log_prints, loaded.description) == ("the-good", 3, True, "Do good.")
    assert list(loaded.function.signature.parameters) == ["a", "b"]
    assert loaded.function.signature.parameters["b"].default == "x"
    with pytest.raises(ScriptError, match="no_such_package_xyz"):
        loaded.fn(1)
    assert load_flow_from_entrypoint(f"{broken}:good_async").isasync


def test_a_placeholder_has_the_version_that_the_file_gives(script: str, broken: str) -> None:
    Path(broken).write_text(BROKEN)
    placeholder = load_flow_from_entrypoint(f"{broken}:good")
    Path(broken).write_text(BROKEN + "\n# changed")
    assert load_flow_from_entrypoint(f"{broken}:good").version != placeholder.version
    assert placeholder.version is not None


def test_loading_safely_gives_none_for_what_is_not_there(script: str, broken: str) -> None:
    assert safe_load_flow_from_entrypoint("nowhere.py:f") is None
    assert safe_load_flow_from_entrypoint(f"{script}:nope") is None
    assert safe_load_flow_from_entrypoint(f"{broken}:good") is not None


def test_a_function_is_made_a_flow_that_logs_prints(script: str) -> None:
    made = load_function_and_convert_to_flow(f"{script}:plain")
    assert (made.name, made.log_prints) == ("plain", True)
    assert load_function_and_convert_to_flow(f"{script}:good").name == "the-good"
    with pytest.raises(MissingFlowError, match="neither"):
        load_function_and_convert_to_flow(f"{script}:number")


def test_arguments_are_read_without_importing(broken: str) -> None:
    assert load_flow_arguments_from_entrypoint(f"{broken}:good") == {
        "name": "the-good",
        "retries": 3,
        "log_prints": True,
        "description": "Do good.",
    }
    assert load_flow_arguments_from_entrypoint(f"{broken}:good_async", {"name"}) == {"name": "good-async"}


def test_async_is_seen_without_importing(broken: str) -> None:
    assert is_entrypoint_async(f"{broken}:good_async")
    assert not is_entrypoint_async(f"{broken}:good")
    with pytest.raises(MissingFlowError):
        is_entrypoint_async(f"{broken}:nope")


@flow
def first() -> None: ...


@flow
def second() -> None: ...


def test_the_only_flow_or_the_named_one_is_selected() -> None:
    assert select_flow([first]) is first
    assert select_flow([first, second], "second") is second


def test_a_selection_that_is_not_clear_is_refused() -> None:
    with pytest.raises(MissingFlowError, match=r"No flows found in x\.py"):
        select_flow([], from_message="in x.py")
    with pytest.raises(MissingFlowError, match="Did you mean 'second'"):
        select_flow([first, second], "secnd")
    with pytest.raises(UnspecifiedFlowError, match="'first', 'second'"):
        select_flow([first, second])
