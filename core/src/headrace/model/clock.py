"""The one source of time. Everything else asks here, so that a test can hold the clock in its hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the product asks of time: `now` is aware and in UTC, `monotonic` and `sleep` count seconds."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


_clock: Clock = SystemClock()


def now() -> datetime:
    """Return the present time: aware, in UTC, with microseconds."""
    return _clock.now()


def monotonic() -> float:
    """Return seconds that never go back; only differences mean something."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Block this thread for `seconds`."""
    _clock.sleep(seconds)


@contextmanager
def use(clock: Clock) -> Iterator[Clock]:
    """Use `clock` in this process while the block runs; for tests."""
    global _clock
    before, _clock = _clock, clock
    try:
        yield clock
    finally:
        _clock = before
