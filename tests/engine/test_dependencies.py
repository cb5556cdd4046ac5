"""What runs depend on: futures and states in arguments, annotations, lineage, `wait_for`, cycles."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from engine.modes import Mode, Stored
from headrace import allow_failure, flow, task
from headrace.exceptions import UpstreamTaskError
from headrace.utilities.annotations import opaque, quote

SECONDS_MAX = 5


@dataclass
class Held:
    value: Any


class Shaped(BaseModel, arbitrary_types_allowed=True):
    value: Any


@task
def give(x: Any = 1) -> Any:
    return x


@task
def bad() -> None:
    raise ValueError("bad")


@task
def holds(x: Any, one: Any) -> bool:
    return x is one or (isinstance(x, list) and x[0] is one)


def ids(inputs: Any) -> list[Any]:
    return [one.id for one in inputs]


def test_futures_are_resolved_however_deep(mode: Mode) -> None:
    @mode.task
    async def take(x: Any) -> Any:
        return x

    @mode.flow
    async def work() -> Any:
        a = give.submit(1)
        nested = {"k": [a, {"z": a}], "t": (a, {a}), "d": Held(a), "m": Shaped(value=a), "n": None}
        return take.submit(nested).result(), await mode.call(take, nested)

    expected = {"k": [1, {"z": 1}], "t": (1, {1}), "d": Held(1), "m": Shaped(value=1), "n": None}
    assert mode.run(work) == (expected, expected)


def test_futures_as_keys_are_resolved() -> None:
    @flow
    def work() -> Any:
        return give({give.submit("a"): 1})

    assert work() == {"a": 1}


def test_states_are_resolved_to_their_values(mode: Mode) -> None:
    @mode.flow
    async def work() -> Any:
        return give([give(2, return_state=True)]), give.submit(give(3, return_state=True)).result()

    assert mode.run(work) == ([2], 3)


def test_arguments_of_the_caller_are_left_as_they_are() -> None:
    @flow
    def work() -> None:
        future = give.submit(1)
        given = {"k": [future]}
        give.submit(given).wait()
        give(given)
        assert given == {"k": [future]}

    work()


def test_generators_are_not_consumed() -> None:
    @task
    def first_of(values: Any) -> Any:
        return next(values)

    @flow
    def work() -> Any:
        values = iter([1, 2, 3])
        return first_of(values), first_of(n for n in range(5, 7))

    assert work() == (1, 5)


def test_quoted_values_are_passed_as_they_are() -> None:
    @flow
    def work() -> None:
        future = give.submit(1)
        assert holds(quote(future), quote(future)) and holds(quote([future]), quote(future))

    work()


def test_quoted_future_reaches_a_submitted_task_itself() -> None:
    @task
    def kind(x: Any) -> str:
        return type(x).__name__

    @flow
    def work() -> str:
        return kind.submit(quote(give.submit(1))).result()

    assert work() == "HeadraceConcurrentFuture"


def test_opaque_is_resolved_at_the_top_only() -> None:
    @flow
    def work() -> None:
        future = give.submit([1])
        assert give(opaque(future)) == [1]
        assert holds(opaque([future]), quote(future))

    work()


def test_allow_failure_inside_a_collection(mode: Mode) -> None:
    @mode.flow
    async def work() -> Any:
        return repr(give([allow_failure(bad.submit()), allow_failure(give.submit(2))]))

    assert mode.run(work) == "[ValueError('bad'), 2]"


def test_allow_failure_of_a_run_that_is_not_ready() -> None:
    @flow
    def work() -> str:
        return type(give.submit(allow_failure(give.submit(bad.submit()))).result()).__name__

    assert work() in ("UpstreamTaskError", "NoneType")


def test_inputs_record_where_values_came_from(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def add(x: Any, y: Any, z: Any = 3) -> Any:
        return x

    @mode.flow
    async def work() -> None:
        add.submit(give.submit(1), [give.submit(2)], 5).wait()

    mode.run(work)
    inputs = stored.task_run("add-0").task_inputs
    first, second = stored.task_run("give-0").id, stored.task_run("give-1").id
    assert {name: ids(found) for name, found in inputs.items()} == {"x": [first], "y": [second], "z": []}


def test_value_of_an_earlier_task_is_traced_by_identity(mode: Mode, stored: Stored) -> None:
    @mode.task
    async def table() -> Any:
        return {"a": 1}

    @mode.flow
    async def work() -> None:
        rows = await mode.call(table)
        give(rows)
        give({"a": 1})

    mode.run(work)
    assert ids(stored.task_run("give-0").task_inputs["x"]) == [stored.task_run("table-0").id]
    assert stored.task_run("give-1").task_inputs["x"] == []


@pytest.mark.parametrize("shared", [None, True, 1, "text"])
def test_values_that_everybody_shares_are_not_traced(stored: Stored, shared: Any) -> None:
    @flow
    def work() -> None:
        give(give(shared))

    work()
    assert stored.task_run("give-1").task_inputs["x"] == []


def test_wait_for_orders_runs_without_data(mode: Mode, stored: Stored) -> None:
    order: list[str] = []
    gate = threading.Event()

    @mode.task
    async def first() -> None:
        assert gate.wait(SECONDS_MAX)
        order.append("first")

    @mode.task
    async def second() -> None:
        order.append("second")

    @mode.flow
    async def work() -> None:
        future = first.submit()
        last = second.submit(wait_for=[future])
        gate.set()
        last.wait()
        await mode.call(second, wait_for=[future])

    mode.run(work)
    assert order == ["first", "second", "second"]
    assert ids(stored.task_run("second-0").task_inputs["wait_for"]) == [stored.task_run("first-0").id]


def test_wait_for_requires_completion_unless_failure_is_allowed(mode: Mode) -> None:
    @mode.flow
    async def work() -> Any:
        future = bad.submit()
        with pytest.raises(UpstreamTaskError):
            give(wait_for=[future])
        return give.submit(wait_for=[future], return_state=True).name, give(7, wait_for=[allow_failure(future)])

    assert mode.run(work) == ("NotReady", 7)


def test_run_that_would_wait_for_itself_is_refused(stored: Stored) -> None:
    handed: list[Any] = []
    ready = threading.Event()

    @task
    def outer() -> Any:
        assert ready.wait(SECONDS_MAX)
        return give(1, wait_for=[handed[0]])

    @flow
    def work() -> None:
        handed.append(outer.submit())
        ready.set()
        with pytest.raises(ValueError, match="depending on itself"):
            handed[0].result(timeout=SECONDS_MAX)

    work()


def test_container_that_cannot_be_looked_into_is_named(mode: Mode) -> None:
    @dataclass
    class Broken:
        value: Any

        def __getattribute__(self, name: str) -> Any:
            if name == "value":
                raise ZeroDivisionError("no looking")
            return super().__getattribute__(name)

    @mode.task
    async def take(thing: Any) -> str:
        return type(thing).__name__

    broken = object.__new__(Broken)

    @mode.flow
    async def work() -> Any:
        with pytest.raises(TypeError, match=r"'thing'.*quote"):
            await mode.call(take, broken)
        return await mode.call(take, quote(broken))

    assert mode.run(work) == "Broken"


def test_a_large_fan_in_is_resolved(stored: Stored) -> None:
    @flow
    def work() -> int:
        return give.submit(give.map(range(200))).result()[-1]

    assert work() == 199
    assert len(stored.task_run("give-200").task_inputs["x"]) == 200


def test_one_future_may_be_waited_for_without_a_list(mode: Mode, stored: Stored) -> None:
    @mode.flow
    async def child() -> int:
        return 1

    @mode.flow
    async def work() -> None:
        one = give.submit(1)
        give.submit(2, wait_for=one).wait()
        give(3, wait_for=one)
        give.map([4], wait_for=one).wait()
        await mode.call(child, wait_for=one)
        assert give(5, wait_for=allow_failure(bad.submit())) == 5

    mode.run(work)
    first = stored.task_run("give-0").id
    assert [ids(stored.task_run(f"give-{number}").task_inputs["wait_for"]) for number in (1, 2, 3)] == [[first]] * 3


def test_kinds_of_collections_stay_what_they_are() -> None:
    from collections import OrderedDict, defaultdict, namedtuple

    pair = namedtuple("pair", "a b")

    @flow
    def work() -> None:
        one = give.submit(1)
        many: defaultdict[str, list[Any]] = defaultdict(list)
        many["k"].append(one)
        assert give(pair(one, 2)) == pair(1, 2)
        ordered = give(OrderedDict(a=one))
        assert type(ordered) is OrderedDict and ordered == {"a": 1}
        resolved = give(many)
        assert type(resolved) is defaultdict and resolved == {"k": [1]}
        assert give(frozenset([one])) == frozenset([1])

    work()


def test_a_collection_that_holds_itself_is_passed_on() -> None:
    endless: list[Any] = []
    endless.append(endless)

    @task
    def size(x: Any) -> int:
        return len(x)

    @flow
    def work() -> int:
        return size(endless)

    assert work() == 1
