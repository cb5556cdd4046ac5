"""Variables as users write and read them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model.endpoints import variables as endpoints
from headrace.model.errors import ObjectAlreadyExists, ObjectNotFound
from headrace.model.variables import CountVariables, FilterVariables, VariableFilter, VariableUpdate
from headrace.variables import Variable

pytestmark = pytest.mark.usefixtures("client")


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


@pytest.mark.parametrize("value", ["text", "", 1, 1.0, 1.5, True, False, None, {"a": [1, None]}, [1, "x", {}], {}, "7", "é☃"])
def test_values_come_back_exactly(value: Any) -> None:
    Variable.set("a", value)
    found = Variable.get("a", default="missing")
    assert found == value
    assert type(found) is type(value)


def test_a_missing_variable_is_the_default() -> None:
    assert Variable.get("nope") is None
    assert Variable.get("nope", default=3) == 3


def test_setting_twice_needs_overwrite_which_replaces_value_and_tags() -> None:
    Variable.set("a", 1, tags=["x"])
    with pytest.raises(ValueError, match=r"'a' already exists\. Use `overwrite=True`"):
        Variable.set("a", 2)
    made = Variable.set("a", 2, overwrite=True)
    assert (made.name, made.value, made.tags) == ("a", 2, [])
    assert call(endpoints.READ_VARIABLE_BY_NAME, name="a").tags == []


def test_unset_says_whether_there_was_one() -> None:
    Variable.set("a", 1)
    assert Variable.unset("a") is True
    assert Variable.unset("a") is False


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Bad Name", 1, "lowercase letters, numbers, and dashes or underscores"),
        ("a" * 256, 1, "at most 255"),
        ("a", "x" * 6000, "at most 5000 characters"),
        ("a", float("nan"), "JSON"),
        ("a", {"x": {1, 2}}, "JSON"),
    ],
)
def test_bad_names_and_values_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Variable.set(name, value)


def test_inside_an_event_loop_the_same_names_are_awaited() -> None:
    async def main() -> None:
        await Variable.set("a", 1)
        await Variable.aset("a", 2, overwrite=True)
        assert await Variable.get("a") == await Variable.aget("a") == 2
        assert await Variable.unset("a")

    asyncio.run(main())


def test_writers_at_once_never_fail() -> None:
    def work(number: int) -> None:
        for _ in range(10):
            Variable.set("a", number, overwrite=True)
            Variable.unset("a")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_variables_are_filtered_sorted_and_counted() -> None:
    for name, tags in (("b_two", ["x", "y"]), ("a_one", ["x"]), ("c", [])):
        Variable.set(name, 1, tags=tags)

    def names(wanted: dict[str, Any] | None = None, **values: Any) -> list[str]:
        where = None if wanted is None else VariableFilter.model_validate(wanted)
        found = call(endpoints.FILTER_VARIABLES, FilterVariables(variables=where, **values))
        if not values:
            assert call(endpoints.COUNT_VARIABLES, CountVariables(variables=where)) == len(found)
        return [variable.name for variable in found]

    assert names() == ["a_one", "b_two", "c"]
    assert names(sort="NAME_DESC", limit=2, offset=1) == ["b_two", "a_one"]
    assert names(sort="CREATED_DESC") == ["c", "a_one", "b_two"]
    assert names({"name": {"any_": ["c", "nope"]}}) == ["c"]
    assert names({"name": {"like_": "A_"}}) == ["a_one"]
    assert names({"tags": {"all_": ["x"]}}) == ["a_one", "b_two"]
    assert names({"tags": {"all_": ["x", "y"]}}) == ["b_two"]
    assert names({"tags": {"is_null_": True}}) == ["c"]
    assert names({"operator": "or_", "name": {"like_": "two"}, "tags": {"is_null_": True}}) == ["b_two", "c"]
    assert names({"name": {"any_": []}}) == []


def test_an_update_changes_only_what_is_given_and_null_is_a_value() -> None:
    Variable.set("a", 1, tags=["x"])
    Variable.set("b", 1)
    made = call(endpoints.READ_VARIABLE_BY_NAME, name="a")
    call(endpoints.UPDATE_VARIABLE, VariableUpdate(name="renamed"), id=made.id)
    call(endpoints.UPDATE_VARIABLE_BY_NAME, VariableUpdate(value=None), name="renamed")
    found = call(endpoints.READ_VARIABLE, id=made.id)
    assert (found.name, found.value, found.tags) == ("renamed", None, ["x"])
    with pytest.raises(ObjectAlreadyExists):
        call(endpoints.UPDATE_VARIABLE, VariableUpdate(name="b"), id=made.id)
    with pytest.raises(ObjectNotFound, match="Variable not found"):
        call(endpoints.UPDATE_VARIABLE_BY_NAME, VariableUpdate(value=1), name="nope")
    call(endpoints.DELETE_VARIABLE, id=made.id)
    with pytest.raises(ObjectNotFound):
        call(endpoints.DELETE_VARIABLE, id=made.id)
