"""Who gets slots, and when to ask again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.rules.slots import (
    Room,
    active_slots,
    average_occupancy,
    drained_after,
    has_room,
    level,
    refusal,
    retry_after,
    undecayed,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(("held", "slots", "fits"), [(0, 1, True), (0, 2, True), (1, 1, True), (1, 2, False), (2, 1, False), (2, 0, True)])
def test_slots_fit_until_the_limit_is_reached(held: int, slots: int, fits: bool) -> None:
    assert has_room(Room("a", 2, held), slots, NOW) is fits


def test_slots_of_a_rate_limit_decay_with_time() -> None:
    room = Room("a", 4, decay_per_second=2.0)
    room = Room("a", 4, decay_per_second=2.0, drained_at=drained_after(room, 4, NOW))
    assert level(room, NOW) == pytest.approx(4)
    assert level(room, NOW + seconds(0.5)) == pytest.approx(3)
    assert level(room, NOW + seconds(2)) == 0
    assert level(room, NOW + seconds(60)) == 0


def test_a_fraction_of_a_slot_is_shown_as_a_whole_one() -> None:
    room = Room("a", 4, decay_per_second=1.0, drained_at=NOW + seconds(1.2))
    assert active_slots(room, NOW) == 2


@given(
    limit=st.integers(1, 20),
    decay=st.floats(0.1, 50),
    gaps=st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_a_rate_limit_never_lets_more_through_than_limit_plus_rate(limit: int, decay: float, gaps: list[float]) -> None:
    room, now, admitted = Room("a", limit, decay_per_second=decay), NOW, list[datetime]()
    for gap in gaps:
        now += seconds(gap)
        if has_room(room, 1, now):
            room = Room("a", limit, decay_per_second=decay, drained_at=drained_after(room, 1, now))
            admitted.append(now)
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            span = (admitted[last] - admitted[first]).total_seconds()
            assert last - first + 1 <= limit + decay * span + 1e-3


@given(limit=st.integers(1, 20), decay=st.floats(0.1, 50), taken=st.integers(0, 20), slots=st.integers(1, 20), jitter=st.floats(0, 1))
def test_the_advised_wait_is_long_enough_for_a_rate_limit(limit: int, decay: float, taken: int, slots: int, jitter: float) -> None:
    slots, taken = min(slots, limit), min(taken, limit)
    room = Room("a", limit, decay_per_second=decay, drained_at=NOW + seconds(taken / decay))
    wait = retry_after(room, slots, NOW, jitter)
    assert wait <= 30
    if not has_room(room, slots, NOW) and wait < 30:
        assert has_room(room, slots, NOW + seconds(wait))


@pytest.mark.parametrize(("name", "most"), [("a", 30.0), ("tag:a", 10.0)])
def test_the_advised_wait_is_bounded(name: str, most: float) -> None:
    room = Room(name, 1, 1, average_occupancy_seconds=1000)
    assert retry_after(room, 1, NOW, 0.5) == most


def test_the_advised_wait_follows_the_average_occupancy() -> None:
    assert retry_after(Room("a", 4, 4, average_occupancy_seconds=8), 1, NOW, 0.5) == pytest.approx(2)


@pytest.mark.parametrize(("held_seconds", "left"), [(0, 3), (1, 1), (2, 0), (100, 0)])
def test_only_slots_that_have_not_decayed_are_given_back(held_seconds: float, left: float) -> None:
    assert undecayed(3, 2.0, held_seconds) == left


def test_more_slots_than_a_limit_has_are_refused_for_good() -> None:
    message = refusal([Room("small", 2), Room("large", 9)], 3, "concurrency")
    assert message == "Slots requested is greater than the limit: 3 requested, 'small' has 2"
    assert refusal([Room("large", 9)], 3, "concurrency") is None


def test_rate_limiting_needs_decay() -> None:
    message = refusal([Room("steady", 9), Room("rate", 9, decay_per_second=1)], 1, "rate_limit")
    assert message is not None
    assert message.endswith("do not have a decay configured: 'steady'")


def test_average_occupancy_runs_over_twice_the_limit_and_never_reaches_zero() -> None:
    assert average_occupancy(2.0, 5, 12.0) == pytest.approx(3.0)
    assert average_occupancy(0.1, 1, 0.0) == 0.1
