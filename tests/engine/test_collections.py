"""Visiting and reshaping collections, and the marks around arguments."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from headrace.utilities.annotations import BaseAnnotation, NotSet, allow_failure, freeze, opaque, quote, unmapped
from headrace.utilities.collections import (
    AutoEnum,
    StopVisiting,
    batched_iterable,
    deep_merge,
    deep_merge_dicts,
    dict_to_flatdict,
    distinct,
    ensure_iterable,
    extract_instances,
    flatdict_to_dict,
    get_from_dict,
    isiterable,
    listrepr,
    remove_nested_keys,
    set_in_dict,
    visit_collection,
)


@dataclass
class Plain:
    x: Any
    y: Any = None


@dataclass(frozen=True)
class Frozen:
    x: Any
    made: Any = field(init=False, default=0)


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)
    x: Any


Pair = namedtuple("Pair", ["left", "right"])


def double(value: Any) -> Any:
    return value * 2 if type(value) is int else value


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, 2),
        ([1, [2, "a"]], [2, [4, "a"]]),
        ((1, (2,)), (2, (4,))),
        ({1, 2}, {2, 4}),
        (frozenset({1}), frozenset({2})),
        ({1: {"k": 2}}, {2: {"k": 4}}),
        (OrderedDict(a=1), OrderedDict(a=2)),
        (defaultdict(list, a=1), defaultdict(list, a=2)),
        (Pair(1, 2), Pair(2, 4)),
        (Plain(1, [2]), Plain(2, [4])),
        (Frozen(1), Frozen(2)),
        (Model(x=1, extra=[2]), Model(x=2, extra=[4])),
        (unmapped([1]), unmapped([2])),
    ],
    ids=repr,
)
def test_every_kind_of_collection_is_visited_and_rebuilt(before: Any, after: Any) -> None:
    result = visit_collection(before, double, return_data=True)
    assert result == after
    assert type(result) is type(after)


def test_nothing_is_copied_where_nothing_changes() -> None:
    inner = {"a": ["text"]}
    outer = [inner, Plain("x"), Model(x="y")]
    result = visit_collection(outer, double, return_data=True)
    assert result is outer
    changed = visit_collection([inner, 1], double, return_data=True)
    assert changed[0] is inner


def test_without_return_data_everything_is_seen_and_none_returned() -> None:
    seen: list[Any] = []
    assert visit_collection({"a": [1, {2}]}, seen.append) is None
    assert [one for one in seen if type(one) is int] == [1, 2]
    assert "a" in seen


def test_visitor_sees_a_collection_before_its_members() -> None:
    seen: list[Any] = []
    visit_collection([[1]], seen.append)
    assert seen == [[[1]], [1], 1]


@pytest.mark.parametrize(("depth", "after"), [(0, [1, [1, [1]]]), (1, [2, [1, [1]]]), (2, [2, [2, [1]]]), (-1, [2, [2, [2]]])])
def test_depth_is_limited(depth: int, after: Any) -> None:
    assert visit_collection([1, [1, [1]]], double, return_data=True, max_depth=depth) == after


def test_stop_visiting_leaves_the_branch_alone() -> None:
    def visit(value: Any) -> Any:
        if isinstance(value, dict):
            raise StopVisiting
        return double(value)

    assert visit_collection([1, {"a": 1}], visit, return_data=True) == [2, {"a": 1}]


def test_annotations_are_told_kept_or_taken_away() -> None:
    def visit(value: Any, context: dict[str, Any]) -> Any:
        if isinstance(context.get("annotation"), quote):
            raise StopVisiting
        return double(value)

    value = [quote([1]), allow_failure([1]), 1]
    assert visit_collection(value, visit, return_data=True, context={}) == [quote([1]), allow_failure([2]), 2]
    assert visit_collection(value, visit, return_data=True, context={}, remove_annotations=True) == [[1], [2], 2]


def test_context_goes_down_and_not_up() -> None:
    seen: list[tuple[Any, int]] = []

    def visit(value: Any, context: dict[str, Any]) -> Any:
        context["level"] = context.get("level", 0) + 1
        if type(value) is int:
            seen.append((value, context["level"]))
        return value

    visit_collection([[1], 2], visit, context={})
    assert dict(seen)[1] > 2


def test_generators_are_not_consumed() -> None:
    numbers = (number for number in (1, 2))
    assert visit_collection([numbers], double, return_data=True)[0] is numbers
    assert list(numbers) == [1, 2]


def test_collections_that_contain_themselves_end() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    seen: list[Any] = []
    visit_collection(ring, lambda value: seen.append(value) if type(value) is int else None)
    assert seen == [1]


def test_a_shared_member_is_visited_at_each_place() -> None:
    shared = [1]
    assert visit_collection([shared, shared], double, return_data=True) == [[2], [2]]


# --- iterables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((value, True) for value in ([1], (1,), {1}, {"a": 1}, iter([1]), range(2))),
        *((value, False) for value in ("text", b"bytes", 1, None, io.StringIO("x"))),
    ],
)
def test_isiterable(value: Any, expected: bool) -> None:
    assert isiterable(value) is expected


def test_small_helpers() -> None:
    assert ensure_iterable("abc") == ["abc"]
    assert ensure_iterable([1]) == [1]
    assert listrepr(["a", 1], sep=", ") == "'a', 1"
    assert list(distinct([1, 2, 1, 3, 2])) == [1, 2, 3]
    assert list(distinct(["a", "A", "b"], key=str.lower)) == ["a", "b"]
    assert extract_instances([1, "a", 2], int) == [1, 2]
    assert extract_instances([1, "a", 2.0], (int, str)) == {int: [1], str: ["a"]}
    assert list(batched_iterable(range(5), 2)) == [(0, 1), (2, 3), (4,)]
    with pytest.raises(ValueError, match="not 0"):
        list(batched_iterable([1], 0))


# --- nested dictionaries -------------------------------------------------------------------------------------------------

nested = st.recursive(st.integers(), lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=10)


@given(st.dictionaries(st.text(max_size=3), nested, max_size=4))
def test_flattening_is_undone(value: dict[str, Any]) -> None:
    assert flatdict_to_dict(dict_to_flatdict(value)) == value


def test_paths_into_nested_collections() -> None:
    data = {"a": {"b": [0, {"c": [1, 2]}]}}
    assert get_from_dict({"a": {"b": {"c": [1, 2, 3, 4]}}}, "a.b.c[1]") == 2
    assert get_from_dict(data, ["a", "b", 1, "c", 1]) == 2
    assert get_from_dict(data, "a.b.1.c.2", "default") == "default"
    assert get_from_dict({"a": {"1": "text key"}}, "a.1") == "text key"
    set_in_dict(data, "a.new.deep", 5)
    assert data["a"]["new"] == {"deep": 5}  # type: ignore[comparison-overlap]  # nested as the path says
    with pytest.raises(KeyError, match="non-dict value"):
        set_in_dict(data, "a.b.c", 1)


def test_merging_changes_neither_side() -> None:
    left, right = {"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": 9}, "e": 2}
    assert deep_merge(left, right) == {"a": {"b": 9, "c": 2}, "d": 1, "e": 2}
    assert left == {"a": {"b": 1, "c": 2}, "d": 1}
    assert deep_merge_dicts(left, right, {"d": 3}) == {"a": {"b": 9, "c": 2}, "d": 3, "e": 2}
    assert remove_nested_keys(["b"], {"a": {"b": 1, "c": {"b": 2}}}) == {"a": {"c": {}}}
    assert remove_nested_keys(["b"], 5) == 5


def test_auto_enum_takes_its_names_as_values() -> None:
    class Colour(AutoEnum):
        RED = AutoEnum.auto()

    assert Colour.RED == "RED"
    assert repr(Colour.RED) == "Colour.RED"


# --- annotations ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [unmapped, allow_failure, quote, opaque, freeze])
def test_annotations_wrap_and_unwrap(kind: type[BaseAnnotation[Any]]) -> None:
    mark = kind([1, 2])
    assert mark.unwrap() == mark.value == [1, 2]
    assert mark.rewrap(3) == kind(3)
    assert type(mark.rewrap(3)) is kind
    [inner] = mark
    assert inner == [1, 2]
    assert repr(mark) == f"{kind.__name__}([1, 2])"
    assert pickle.loads(pickle.dumps(mark)) == mark
    assert mark != ([1, 2],)


def test_special_names_of_annotations() -> None:
    assert quote(1).unquote() == 1
    assert freeze("a").unfreeze() == "a"
    assert unmapped(1) != allow_failure(1)
    assert isinstance(NotSet, type)
