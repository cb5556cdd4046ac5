"""Futures: waiting, results, time limits, callbacks and collections of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from engine.modes import Stored
from headrace import flow, task
from headrace.futures import HeadraceFutureList, as_completed, resolve_futures_to_results, resolve_futures_to_states, wait
from headrace.utilities.annotations import quote

SECONDS_MAX = 5


@task
def fail() -> None:
    raise ValueError("bad")


@task
def give(x: Any) -> Any:
    return x


@task
def held(gate: threading.Event, x: Any = None) -> Any:
    assert gate.wait(SECONDS_MAX)
    return x


def test_result_and_state_of_a_run_that_ended() -> None:
    @flow
    def work() -> Any:
        future = give.submit(3)
        value = future.result()
        return value, future.state.name, future.result(timeout=0)

    assert work() == (3, "Completed", 3)


def test_failure_is_raised_or_returned() -> None:
    @flow
    def work() -> Any:
        future = fail.submit()
        with pytest.raises(ValueError, match="bad"):
            future.result()
        return future.result(raise_on_failure=False)

    assert repr(work()) == "ValueError('bad')"


def test_waiting_gives_up_after_its_time_and_the_task_completes_all_the_same(stored: Stored) -> None:
    gate = threading.Event()

    @flow
    def work() -> Any:
        future = held.submit(quote(gate), 3)
        future.wait(0.01)
        with pytest.raises(TimeoutError, match="held-0"):
            future.result(timeout=0.01)
        gate.set()
        return future.result()

    assert work() == 3
    assert stored.task_run().state.name == "Completed"


def test_state_of_a_run_in_progress_is_the_present_one() -> None:
    gate, begun = threading.Event(), threading.Event()

    @task
    def slow() -> None:
        begun.set()
        assert gate.wait(SECONDS_MAX)

    @flow
    def work() -> Any:
        future = slow.submit()
        assert begun.wait(SECONDS_MAX)
        name = future.state.name
        gate.set()
        future.wait()
        return name, future.state.name

    assert work() == ("Running", "Completed")


def test_id_is_that_of_the_stored_run(stored: Stored) -> None:
    @flow
    def work() -> str:
        future = give.submit(1)
        return str(future.task_run_id)

    assert work() == str(stored.task_run().id)


def test_callback_on_a_run_in_progress_and_on_one_that_ended() -> None:
    gate = threading.Event()
    called: list[Any] = []
    after = threading.Event()

    @flow
    def work() -> None:
        future = held.submit(quote(gate))
        future.add_done_callback(lambda one: (called.append((one is future, threading.get_ident())), after.set()))
        gate.set()
        assert after.wait(SECONDS_MAX)
        future.add_done_callback(lambda one: called.append((one is future, threading.get_ident())))

    work()
    assert [mine for mine, _ in called] == [True, True]
    assert called[0][1] != threading.get_ident() == called[1][1]


def test_as_completed_yields_in_the_order_of_completion() -> None:
    gates = [threading.Event(), threading.Event()]

    @flow
    def work() -> Any:
        futures = HeadraceFutureList([held.submit(quote(gate), number) for number, gate in enumerate(gates)])
        gates[1].set()
        values: list[int] = []
        for future in as_completed(futures):
            values.append(future.result())
            gates[0].set()
        return values, futures.result()

    assert work() == ([1, 0], [0, 1])


def test_as_completed_says_how_many_are_missing() -> None:
    gate = threading.Event()

    @flow
    def work() -> None:
        futures = [give.submit(1), held.submit(quote(gate))]
        with pytest.raises(TimeoutError, match=r"1 \(of 2\) futures unfinished"):
            list(as_completed(futures, timeout=0.1))
        gate.set()

    work()


def test_wait_sorts_into_done_and_not_done() -> None:
    gate = threading.Event()

    @flow
    def work() -> None:
        ended, going = give.submit(1), held.submit(quote(gate))
        ended.wait()
        done, not_done = wait([ended, going], timeout=0.01)
        assert (done, not_done) == ({ended}, {going})
        gate.set()
        assert wait([ended, going]).done == {ended, going}

    work()


def test_negative_time_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout"):
        wait([], timeout=-1)


def test_list_fails_as_soon_as_one_fails() -> None:
    gate = threading.Event()

    @flow
    def work() -> None:
        futures = HeadraceFutureList([held.submit(quote(gate)), fail.submit()])
        with pytest.raises(ValueError, match="bad"):
            futures.result(timeout=SECONDS_MAX)
        assert not futures[0].state.is_final()
        gate.set()

    work()


def test_list_returns_failures_when_asked_to() -> None:
    @flow
    def work() -> Any:
        return [type(value).__name__ for value in HeadraceFutureList([give.submit(1), fail.submit()]).result(raise_on_failure=False)]

    assert work() == ["int", "ValueError"]


@pytest.mark.parametrize("raises", [True, False])
def test_list_gives_up_after_its_time(raises: bool) -> None:
    gate = threading.Event()

    @flow
    def work() -> None:
        with pytest.raises(TimeoutError):
            HeadraceFutureList([held.submit(quote(gate))]).result(timeout=0.01, raise_on_failure=raises)
        gate.set()

    work()


def test_list_is_iterated_any_number_of_times() -> None:
    @flow
    def work() -> Any:
        futures = give.map([1, 2])
        futures.wait()
        return [one.result() for one in futures], [one.result() for one in futures], len(futures), futures[1].result()

    assert work() == ([1, 2], [1, 2], 2, 2)


@dataclass
class Held:
    value: Any


class Shaped(BaseModel, arbitrary_types_allowed=True):
    value: Any


def test_futures_are_resolved_in_every_kind_of_collection() -> None:
    @flow
    def work() -> None:
        one = give.submit(1)
        nested = [one, (one,), {"a": one}, Held(one), Shaped(value=one), quote(one), give.map([1, 2])]
        results = resolve_futures_to_results(nested)
        assert results[:5] == [1, (1,), {"a": 1}, Held(1), Shaped(value=1)]
        assert results[5].unquote() is one
        assert results[6] == [1, 2]
        states = resolve_futures_to_states([one, {"a": one}, give.map([1])])
        assert [states[0].name, states[1]["a"].name, type(states[2]), states[2][0].name] == ["Completed", "Completed", list, "Completed"]
        assert resolve_futures_to_results({one}) == {1}

    work()


def test_resolving_raises_what_failed() -> None:
    @flow
    def work() -> None:
        with pytest.raises(ValueError, match="bad"):
            resolve_futures_to_results([fail.submit()])

    work()
