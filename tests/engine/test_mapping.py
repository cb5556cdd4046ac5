"""`Task.map`: which arguments are mapped, and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from engine.modes import Mode, Stored
from headrace import allow_failure, flow, task, unmapped
from headrace.exceptions import MappingLengthMismatch, MappingMissingIterable
from headrace.utilities.annotations import quote


@task
def pair(x: Any, y: Any = "default") -> Any:
    return x, y


def mapped(*args: Any, **kwargs: Any) -> Any:
    @flow
    def work() -> Any:
        return pair.map(*args, **kwargs).result()

    return work()


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (([1, 2],), {}, [(1, "default"), (2, "default")]),
        (([1, 2], 5), {}, [(1, 5), (2, 5)]),
        (([1, 2], [3, 4]), {}, [(1, 3), (2, 4)]),
        (([1, 2], "ab"), {}, [(1, "ab"), (2, "ab")]),
        (([1, 2], b"ab"), {}, [(1, b"ab"), (2, b"ab")]),
        (([1, 2], unmapped([3, 4])), {}, [(1, [3, 4]), (2, [3, 4])]),
        (((1, 2), {"a": 1, "b": 2}), {}, [(1, "a"), (2, "b")]),
        ((range(2),), {"y": (n for n in "xy")}, [(0, "x"), (1, "y")]),
        (([],), {}, []),
    ],
)
def test_what_is_mapped_and_what_is_constant(args: Any, kwargs: Any, expected: Any) -> None:
    assert mapped(*args, **kwargs) == expected


def test_defaults_are_never_mapped() -> None:
    @task
    def work(x: int, y: Any = (1, 2, 3)) -> Any:
        return x, y

    @flow
    def maps() -> Any:
        return work.map([1, 2]).result()

    assert maps() == [(1, (1, 2, 3)), (2, (1, 2, 3))]


def test_variable_keywords_are_mapped_one_by_one() -> None:
    @task
    def work(**kwargs: Any) -> Any:
        return kwargs

    @flow
    def maps() -> Any:
        return work.map(a=[1, 2], b=[3, 4], c="x").result()

    assert maps() == [{"a": 1, "b": 3, "c": "x"}, {"a": 2, "b": 4, "c": "x"}]


def test_results_keep_the_order_of_the_inputs() -> None:
    first_may_end = threading.Event()

    @task
    def work(x: int) -> int:
        if x == 0:
            assert first_may_end.wait(5)
        elif x == 2:
            first_may_end.set()
        return x

    @flow
    def maps() -> list[int]:
        return work.map([0, 1, 2]).result()

    assert maps() == [0, 1, 2]


def test_futures_and_states_give_their_values_to_map_over(mode: Mode) -> None:
    @mode.task
    async def numbers() -> list[int]:
        return [1, 2]

    @mode.task
    async def double(x: int, factor: int) -> int:
        return x * factor

    @mode.flow
    async def work() -> Any:
        state = await mode.call(numbers, return_state=True)
        return [
            double.map(numbers.submit(), 2).result(),
            double.map(state, 3).result(),
            double.map(double.map([1, 2], 2), unmapped(5)).result(),
        ]

    assert mode.run(work) == [[2, 4], [3, 6], [10, 20]]


def test_annotations_are_put_around_each_element() -> None:
    @task
    def bad() -> None:
        raise ValueError("bad")

    @task
    def kind(x: Any) -> str:
        return type(x).__name__

    @flow
    def work() -> Any:
        return kind.map(allow_failure([bad.submit(), 1])).result(), kind.map(quote([bad.submit()])).result()

    assert work() == (["ValueError", "int"], ["HeadraceConcurrentFuture"])


def test_nothing_to_map_over_is_refused() -> None:
    with pytest.raises(MappingMissingIterable, match="at least one iterable"):
        mapped(1)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(MappingLengthMismatch, match=r"'x': 1, 'y': 2"):
        mapped([1], [1, 2])


def test_return_state_gives_states_in_order(stored: Stored) -> None:
    @task
    def inverse(x: int) -> float:
        return 1 / x

    @flow
    def work() -> Any:
        return [state.name for state in inverse.map([1, 0, 2], return_state=True)]

    assert work() == ["Completed", "Failed", "Completed"]


def test_wait_for_holds_for_every_run() -> None:
    @task
    def bad() -> None:
        raise ValueError("bad")

    @flow
    def work() -> Any:
        return [state.name for state in pair.map([1, 2], wait_for=[bad.submit()], return_state=True)]

    assert work() == ["NotReady", "NotReady"]
