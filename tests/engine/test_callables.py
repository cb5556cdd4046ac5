"""Functions seen from outside: binding, mapping, and the schema of parameters."""

from __future__ import annotations

import inspect
import pickle
import sys
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from headrace.model.errors import (
    MappingLengthMismatch,
    MappingMissingIterable,
    ParameterBindError,
    ReservedArgumentError,
    ScriptError,
    SignatureMismatchError,
)
from headrace.utilities.annotations import allow_failure, quote, unmapped
from headrace.utilities.callables import (
    call_with_parameters,
    cloudpickle_wrapped_call,
    collapse_variadic_parameters,
    expand_mapping_parameters,
    explode_variadic_parameter,
    get_call_parameters,
    get_parameter_defaults,
    parameter_docstrings,
    parameter_schema,
    parameter_schema_from_entrypoint,
    parameters_to_args_kwargs,
    raise_for_reserved_arguments,
)
from headrace.utilities.importtools import from_qualified_name, import_object, lazy_import, load_script_as_module, to_qualified_name
from headrace.utilities.math import bounded_poisson_interval, clamped_poisson_interval
from headrace.utilities.names import generate_slug, obfuscate

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]  # what flows do with types that only checkers need


def everything(a: Any, /, b: Any, c: Any = 3, *args: Any, d: Any, e: Any = 5, **kwargs: Any) -> Any:
    return a, b, c, args, d, e, kwargs


# --- binding -------------------------------------------------------------------------------------------------------------


def test_arguments_are_bound_by_name_with_defaults() -> None:
    parameters = get_call_parameters(everything, (1, 2), {"d": 4, "z": 9})
    assert parameters == {"a": 1, "b": 2, "c": 3, "args": (), "d": 4, "e": 5, "kwargs": {"z": 9}}
    assert list(parameters) == list(inspect.signature(everything).parameters)
    assert "c" not in get_call_parameters(everything, (1, 2), {"d": 4}, apply_defaults=False)


@given(st.lists(st.integers(), min_size=2, max_size=6), st.dictionaries(st.sampled_from(["e", "x", "y"]), st.integers()))
def test_binding_is_undone(args: list[int], kwargs: dict[str, int]) -> None:
    parameters = get_call_parameters(everything, tuple(args), {"d": 0, **kwargs})
    assert call_with_parameters(everything, parameters) == everything(*args, d=0, **kwargs)
    sparse = get_call_parameters(everything, tuple(args), {"d": 0, **kwargs}, apply_defaults=False)
    assert call_with_parameters(everything, sparse) == everything(*args, d=0, **kwargs)


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2), {}), ((1,), {"d": 1})])
def test_arguments_that_do_not_fit_are_refused(args: Any, kwargs: Any) -> None:
    with pytest.raises(ParameterBindError, match="Function 'everything' has signature 'a, b, c, args, d, e, kwargs' but received"):
        get_call_parameters(everything, args, kwargs)
    assert issubclass(ParameterBindError, TypeError)


def test_method_that_carries_its_instance_counts_it_as_argument() -> None:
    class Counter:
        def add(self, x: int) -> int:
            return x

    counter = Counter()

    def add(self: Any, x: int) -> int:
        return x

    add.__headrace_self__ = counter  # type: ignore[attr-defined]  # what decorating a bound method leaves
    assert get_call_parameters(add, (5,), {}) == {"self": counter, "x": 5}


def test_unknown_parameters_are_refused_when_calling() -> None:
    with pytest.raises(SignatureMismatchError, match="does not take 'q'"):
        parameters_to_args_kwargs(lambda x: x, {"x": 1, "q": 2})


def test_variadic_parameters_go_up_and_down() -> None:
    def fn(a: Any, b: Any, **kwargs: Any) -> None: ...

    low, high = {"a": 1, "b": 2, "kwargs": {"c": 3, "d": 4}}, {"a": 1, "b": 2, "c": 3, "d": 4}
    assert explode_variadic_parameter(fn, low) == high
    assert collapse_variadic_parameters(fn, high) == low
    with pytest.raises(ValueError, match="does not include any variadic keyword argument to hold y"):
        collapse_variadic_parameters(lambda x: x, {"x": 1, "y": 2})


def test_defaults_and_reserved_names() -> None:
    assert get_parameter_defaults(everything) == {"c": 3, "e": 5}
    with pytest.raises(ReservedArgumentError, match="'wait_for' is a reserved argument name"):
        raise_for_reserved_arguments(lambda wait_for: None, ["return_state", "wait_for"])


def test_wrapped_call_travels_by_plain_pickle() -> None:
    factor = 3
    call = pickle.loads(pickle.dumps(cloudpickle_wrapped_call(lambda x: x * factor, 5)))
    assert pickle.loads(call()) == 15


# --- mapping -------------------------------------------------------------------------------------------------------------


def test_iterables_are_split_and_the_rest_repeated() -> None:
    def fn(x: Any, y: Any, text: str, z: Any = (1, 2), **kwargs: Any) -> None: ...

    calls = expand_mapping_parameters(fn, {"x": [1, 2], "y": unmapped([7, 8]), "text": "ab", "kwargs": {"k": (3, 4)}})
    assert calls == [
        {"x": 1, "y": [7, 8], "text": "ab", "z": (1, 2), "kwargs": {"k": 3}},
        {"x": 2, "y": [7, 8], "text": "ab", "z": (1, 2), "kwargs": {"k": 4}},
    ]


def test_dictionaries_give_keys_and_marks_stay_around_items() -> None:
    calls = expand_mapping_parameters(lambda x, y: None, {"x": {"a": 1, "b": 2}, "y": allow_failure([1, 2])})
    assert calls == [{"x": "a", "y": allow_failure(1)}, {"x": "b", "y": allow_failure(2)}]
    assert expand_mapping_parameters(lambda x: None, {"x": quote([1])}) == [{"x": quote(1)}]


def test_mapping_needs_iterables_of_one_length() -> None:
    with pytest.raises(MappingMissingIterable, match="at least one iterable"):
        expand_mapping_parameters(lambda x: None, {"x": 1})
    with pytest.raises(MappingLengthMismatch, match="'x': 1, 'y': 2"):
        expand_mapping_parameters(lambda x, y: None, {"x": [1], "y": [1, 2]})


# --- schemas -------------------------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    n: int
    colour: Colour = Colour.RED


class Strange:
    pass


def test_schema_of_plain_parameters() -> None:
    def fn(n: int = 1) -> None: ...

    assert parameter_schema(fn).model_dump_for_openapi() == {
        "title": "Parameters",
        "type": "object",
        "properties": {"n": {"default": 1, "position": 0, "title": "n", "type": "integer"}},
    }


def test_schema_of_every_kind_of_parameter() -> None:
    def fn(
        a: int,
        inner: Inner,
        schema: str = "x",
        _under: Literal["a", "b"] = "a",
        strange: Strange | None = None,
        unknown: Unknown = None,
        when: datetime = datetime(2024, 1, 1),
        low: Annotated[int, Field(ge=1, description="from the field")] = 3,
        made: list[int] = Field(default_factory=list, title="Made"),
        secret: SecretStr | None = None,
        *args: int,
        **kwargs: int,
    ) -> None:
        """Do it.

        Args:
            a: the first
                goes on
            inner (Inner): the second: with colon
            low: not used, the field says more

        Returns:
            nothing: at all
        """

    schema = parameter_schema(fn)
    properties = schema.properties
    assert schema.required == ["a", "inner"]
    assert [one["position"] for one in properties.values()] == list(range(12))
    assert properties["a"] == {"title": "a", "type": "integer", "position": 0, "description": "the first goes on"}
    assert properties["inner"] == {
        "$ref": "#/definitions/Inner",
        "title": "inner",
        "position": 1,
        "description": "the second: with colon",
    }
    assert schema.definitions["Inner"]["properties"]["colour"]["$ref"] == "#/definitions/Colour"
    assert properties["schema"] == {"default": "x", "title": "schema", "type": "string", "position": 2}
    assert properties["_under"]["enum"] == ["a", "b"]
    assert properties["unknown"] == {"title": "unknown", "position": 5, "default": None}
    assert properties["when"]["format"] == "date-time"
    assert properties["low"]["minimum"] == 1
    assert properties["low"]["description"] == "from the field"
    assert properties["made"] == {"title": "Made", "type": "array", "items": {"type": "integer"}, "position": 8}
    assert any(option.get("format") == "password" for option in properties["secret"]["anyOf"])
    assert properties["args"]["type"] == "array"
    assert properties["kwargs"]["additionalProperties"] == {"type": "integer"}


def test_docstring_without_arguments_has_no_descriptions() -> None:
    assert parameter_docstrings(None) == {}
    assert parameter_docstrings("Do it.") == {}
    assert parameter_docstrings("Do it.\n\nArgs:\n    x: one\n\n    y (int): two\nReturns:\n    z: three") == {"x": "one", "y": "two"}


def test_schema_is_read_from_source_whose_imports_are_missing(tmp_path: Path) -> None:
    file = tmp_path / "flows.py"
    file.write_text(
        "import not_installed_anywhere\n"
        "from not_installed_anywhere import Thing\n"
        "from typing import Literal\n"
        "LIMIT = 3\n"
        "@not_installed_anywhere.flow\n"
        "def main(x: int, kind: Literal['a'] = 'a', thing: Thing = Thing.DEFAULT, *, n: int = LIMIT):\n"
        '    """Run.\n\n    Args:\n        x: how many\n    """\n'
        "class Group:\n"
        "    def method(self, y: str): ...\n"
    )
    schema = parameter_schema_from_entrypoint(f"{file}:main")
    assert schema.required == ["x"]
    assert schema.properties["x"] == {"title": "x", "type": "integer", "position": 0, "description": "how many"}
    assert schema.properties["n"]["default"] == 3
    assert schema.properties["thing"] == {"title": "thing", "position": 2, "default": None}
    assert list(parameter_schema_from_entrypoint(f"{file}:Group.method").properties) == ["y"]
    with pytest.raises(ValueError, match="Could not find the function 'other'"):
        parameter_schema_from_entrypoint(f"{file}:other")


# --- importing -----------------------------------------------------------------------------------------------------------


def test_names_lead_to_objects_and_back(tmp_path: Path) -> None:
    assert from_qualified_name("random.randint") is import_object("random:randint")
    assert from_qualified_name(to_qualified_name(ParameterBindError)) is ParameterBindError
    script = tmp_path / "script.py"
    (tmp_path / "neighbour.py").write_text("VALUE = 7")
    script.write_text("import neighbour\nclass C:\n    def m(self): return neighbour.VALUE\ndef f(): return 1")
    assert import_object(f"{script}:f")() == 1
    assert import_object(f"{script}:C.m")(None) == 7


def test_script_that_raises_is_wrapped(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise ValueError('inside')")
    before = list(sys.path)
    with pytest.raises(ScriptError, match="inside") as caught:
        load_script_as_module(str(script))
    assert isinstance(caught.value.user_exc, ValueError)
    assert sys.path == before


def test_a_script_is_run_as_it_stands_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    script = tmp_path / "edited.py"
    for value in (1, 2, 3):  # edits of one length, in one second
        script.write_text(f"found = {value}\n")
        assert load_script_as_module(str(script)).found == value


def test_lazy_import_fails_at_first_use_or_at_once() -> None:
    absent = lazy_import("not_installed_anywhere", help_message="pip install it")
    with pytest.raises(ModuleNotFoundError, match="pip install it"):
        _ = absent.anything
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        lazy_import("not_installed_anywhere", error_on_import=True)
    assert lazy_import("colorsys").rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)


# --- names and waits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "shown"), [("abc", "********"), ("abcdefghijk", "*******k"), ("abcdefghijklmnopqrs", "****pqrs")])
def test_hidden_values_keep_little(text: str, shown: str) -> None:
    assert obfuscate(text, show_tail=True) == shown
    assert obfuscate(SecretStr(text)) == "********"


def test_slugs_have_the_words_asked_for() -> None:
    assert len(generate_slug(2).split("-")) == 2
    with pytest.raises(ValueError, match="not 0"):
        generate_slug(0)


@given(st.floats(min_value=0.1, max_value=1000), st.floats(min_value=0.05, max_value=5))
def test_clamped_waits_stay_below_their_bound(average: float, factor: float) -> None:
    assert 0 <= clamped_poisson_interval(average, factor) <= average * (1 + factor) * (1 + 1e-9)


@given(st.floats(min_value=0.1, max_value=100), st.floats(min_value=0, max_value=100))
def test_bounded_waits_stay_between_their_bounds(lower: float, width: float) -> None:
    assert lower * (1 - 1e-6) <= bounded_poisson_interval(lower, lower + width) <= (lower + width) * (1 + 1e-6)
