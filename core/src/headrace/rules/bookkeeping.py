"""What every written state changes on its run, whether it was judged or forced. Times are integer microseconds since 1970, UTC."""

from __future__ import annotations

from typing import NamedTuple

from headrace.model.states import TERMINAL_STATES, StateType

_HOLDING = frozenset({StateType.PENDING, StateType.RUNNING, StateType.CANCELLING})


class Books(NamedTuple):
    """The part of a run's row that states write. `total_run_time` is microseconds spent in RUNNING states that have ended."""

    state_type: StateType | None = None
    state_timestamp: int | None = None
    run_count: int = 0
    expected_start_time: int | None = None
    next_scheduled_start_time: int | None = None
    start_time: int | None = None
    end_time: int | None = None
    total_run_time: int = 0


def unique_timestamp(books: Books, now: int) -> int:
    """Return the time of a new state: now, or just after the present state when the clock has not moved on."""
    return now if books.state_timestamp is None or now > books.state_timestamp else books.state_timestamp + 1


def advance(books: Books, kind: StateType, timestamp: int, scheduled: int | None, *, counts: bool = True) -> Books:
    """Return the books after a state of type `kind` was entered at `timestamp`.

    The first RUNNING sets the start; a terminal state sets the end (and the start, if the run never ran), leaving one clears it; time
    spent in RUNNING is added when it is left; the first state sets when the run was expected to start. `scheduled` is the time of a
    SCHEDULED state. `counts` False: this RUNNING goes on after a pause and is no new run.
    """
    total = books.total_run_time
    if books.state_type is StateType.RUNNING and books.state_timestamp is not None:
        total += max(0, timestamp - books.state_timestamp)
    is_final = kind in TERMINAL_STATES
    start = books.start_time
    if start is None and (is_final or kind is StateType.RUNNING):
        start = timestamp
    is_scheduled = kind is StateType.SCHEDULED
    expected = books.expected_start_time
    if expected is None:
        expected = scheduled if is_scheduled and scheduled is not None else timestamp
    return Books(
        state_type=kind,
        state_timestamp=timestamp,
        run_count=books.run_count + (kind is StateType.RUNNING and counts),
        expected_start_time=expected,
        next_scheduled_start_time=scheduled if is_scheduled else None,
        start_time=start,
        end_time=timestamp if is_final else None,
        total_run_time=total,
    )


def frees_slots(before: StateType | None, after: StateType) -> bool:
    """Say whether a run gives back the slots that it holds: it leaves the states in which runs hold any."""
    return before in _HOLDING and after not in _HOLDING
