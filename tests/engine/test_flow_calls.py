"""Calling flows: binding, validation and coercion of parameters, and what is stored of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from engine.modes import Mode, Stored
from headrace import flow, task
from headrace.blocks.core import Block
from headrace.exceptions import ParameterBindError, ParameterTypeError


class Address(BaseModel):
    city: str
    number: int = 1


@dataclass
class Point:
    x: int
    y: int


class Place(Block):
    city: str


class Color(Enum):
    RED = "red"


def test_value_is_returned(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def add(x: int, y: int = 2) -> int:
        return x + y

    assert mode.run(add, 1) == 3
    assert mode.run(add, x=1, y=5) == 6
    assert [run.parameters for run in stored.flow_runs()] == [{"x": 1, "y": 2}, {"x": 1, "y": 5}]


def test_parameters_are_coerced_and_stored_so(mode: Mode, stored: Stored) -> None:
    seen: list[Any] = []

    @mode.flow
    async def work(x: int, where: Address, point: Point, color: Color) -> None:
        seen.append((x, where, point, color))

    mode.run(work, "5", {"city": "Bern"}, {"x": 1, "y": "2"}, "red")
    assert seen == [(5, Address(city="Bern"), Point(1, 2), Color.RED)]
    assert stored.flow_run().parameters == {"x": 5, "where": {"city": "Bern", "number": 1}, "point": {"x": 1, "y": 2}, "color": "red"}


def test_default_factories_and_constraints_are_obeyed() -> None:
    @flow
    def work(x: int = Field(default=3, ge=1), names: list[str] = Field(default_factory=list)) -> Any:
        return x, names

    assert work() == (3, [])
    with pytest.raises(ParameterTypeError, match="x"):
        work(0)


def test_invalid_parameters_make_one_failed_run_and_the_body_never_runs(mode: Mode, stored: Stored) -> None:
    ran: list[int] = []

    @mode.flow
    async def work(x: int, y: int) -> None:
        ran.append(1)

    with pytest.raises(ParameterTypeError) as caught:
        mode.run(work, "abc", "def")
    assert "- x: " in str(caught.value) and "- y: " in str(caught.value)
    run = stored.flow_run()
    assert (run.state.type, run.state.name) == ("FAILED", "Failed")
    assert run.state.message.startswith("Validation of flow parameters failed with error")
    assert stored.flow_history() == ["Pending", "Failed"]
    assert ran == []


def test_invalid_parameters_with_return_state_give_the_failed_state(mode: Mode) -> None:
    @mode.flow
    async def work(x: int) -> None: ...

    state = mode.run(work, "abc", return_state=True)
    assert state.is_failed()
    with pytest.raises(ParameterTypeError):
        state.result()


def test_validation_can_be_turned_off(mode: Mode, stored: Stored) -> None:
    @mode.flow(validate_parameters=False)
    async def work(x: int) -> Any:
        return x

    assert mode.run(work, "5") == "5"
    assert stored.flow_run().parameters == {"x": "5"}


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1,), {"y": 1}), ((1, 2), {}), ((1,), {"x": 1})])
def test_arguments_that_do_not_fit_are_refused_before_a_run_exists(mode: Mode, stored: Stored, args: Any, kwargs: Any) -> None:
    @mode.flow
    async def work(x: int) -> None: ...

    with pytest.raises(ParameterBindError, match="work") as caught:
        mode.run(work, *args, **kwargs)
    assert isinstance(caught.value, TypeError)
    assert stored.flow_runs() == []


def test_annotations_that_cannot_be_read_leave_the_others_alone() -> None:
    class Local:
        pass

    @flow
    def work(x: int, y: Local) -> Any:
        return x, y

    assert work("5", 3) == (5, 3)


def test_variadic_parameters() -> None:
    @flow
    def work(first: int, *rest: int, **named: int) -> Any:
        return first, rest, named

    assert work("1", "2", "3", a="4") == (1, (2, 3), {"a": 4})


def test_any_parameter_name_may_be_used() -> None:
    @flow
    def work(schema: int, copy: int, self_: int, json: int, model_dump: int) -> int:
        return schema + copy + self_ + json + model_dump

    assert work("1", 2, 3, 4, 5) == 15


def test_values_without_a_json_form_are_stored_as_placeholders(stored: Stored) -> None:
    class Opaque:
        pass

    @task
    def one() -> int:
        return 1

    @flow
    def child(thing: Any, inside: Any, number: Any, real: Any) -> int:
        return number

    @flow
    def parent() -> int:
        return child(Opaque(), {"a": [Opaque(), 1]}, one.submit(), float("inf"))

    assert parent() == 1
    parameters = stored.flow_runs()[1].parameters
    assert parameters["thing"] == "<Opaque>"
    assert parameters["inside"] == {"a": ["<Opaque>", 1]}
    assert parameters["number"] == 1


def test_futures_are_resolved_before_the_body(mode: Mode) -> None:
    @mode.task
    async def one() -> int:
        return 1

    @mode.flow
    async def child(x: int, nested: dict[str, Any]) -> Any:
        return x, nested

    @mode.flow
    async def parent() -> Any:
        future = one.submit()
        return await mode.call(child, future, {"a": [future]})

    assert mode.run(parent) == (1, {"a": [1]})


def test_arguments_are_not_changed_in_place() -> None:
    given = {"a": ["1"]}

    @flow
    def work(x: dict[str, list[int]]) -> Any:
        x["a"].append(2)
        return x

    assert work(given) == {"a": [1, 2]}
    assert given == {"a": ["1"]}


def test_context_holds_the_validated_values() -> None:
    from headrace.context import FlowRunContext

    @flow
    def work(x: int) -> Any:
        frame = FlowRunContext.get()
        assert frame is not None
        return frame.parameters

    assert work("5") == {"x": 5}


def test_a_block_reference_is_replaced_with_the_block(stored: Stored) -> None:
    document = Place(city="Bern").save("here")

    @flow
    def work(place: Place) -> str:
        return place.city

    @flow
    def untyped(places: Any) -> str:
        return places["here"][0].city

    assert work({"$ref": {"block_document_id": str(document)}}) == "Bern"
    assert untyped({"here": [{"$ref": {"block_document_id": str(document)}}]}) == "Bern"
    assert work({"$ref": {"block_document_slug": "place/here"}}) == "Bern"
    with pytest.raises(ParameterTypeError, match="nowhere"):
        work({"$ref": {"block_document_slug": "place/nowhere"}})
    assert stored.flow_runs()[-1].state.is_failed()


def test_wait_for_failed_upstream_keeps_the_flow_from_running(stored: Stored) -> None:
    ran: list[int] = []

    @task
    def bad() -> None:
        raise ValueError("bad")

    @flow
    def child() -> None:
        ran.append(1)

    @flow
    def parent() -> None:
        child(wait_for=[bad.submit()], return_state=True)

    parent()
    assert ran == []
    assert stored.flow_runs()[1].state.name == "NotReady"


def test_every_kind_of_parameter(stored: Stored) -> None:
    @flow
    def work(a: int, /, b: int, *args: int, c: int = 1, **kw: int) -> Any:
        return a, b, args, c, kw

    @task
    def part(a: int, /, b: int, *args: int, c: int = 1, **kw: int) -> Any:
        return a, b, args, c, kw

    expected = (1, 2, (3, 4), 5, {"d": 6})
    assert work(1, 2, 3, 4, c=5, d=6) == part(1, 2, 3, 4, c=5, d=6) == expected
    assert stored.flow_run().parameters == {"a": 1, "b": 2, "args": [3, 4], "c": 5, "kw": {"d": 6}}


def test_partials_are_flows_and_tasks() -> None:
    from functools import partial

    def add(a: int, b: int) -> int:
        return a + b

    assert flow(name="adds")(partial(add, 1))(2) == 3
    assert task(partial(add, 1))(2) == 3


def test_exception_groups_pass_through(stored: Stored) -> None:
    @flow
    def work() -> None:
        raise ExceptionGroup("several", [ValueError(1)])

    with pytest.raises(ExceptionGroup):
        work()
    assert stored.flow_run().state.is_failed()


def test_the_body_gets_the_very_list_that_the_caller_passed(mode: Mode) -> None:
    @mode.flow
    async def adds(items: Any, nested: Any) -> None:
        items.append(1)
        nested["inner"].append(2)

    items: list[int] = []
    nested: dict[str, list[int]] = {"inner": []}
    mode.run(adds, items, nested)

    assert (items, nested) == ([1], {"inner": [2]})


def test_a_list_that_contains_itself_may_be_passed(mode: Mode) -> None:
    @mode.flow(validate_parameters=False)
    async def measures(items: list[Any]) -> int:
        return len(items)

    items: list[Any] = [1]
    items.append(items)

    assert mode.run(measures, items) == 2
