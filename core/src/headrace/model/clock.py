"""The one source of time. Everything else asks here, so that a test can hold the clock in its hand."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the product asks of time: `now` is aware and in UTC, `monotonic` and `sleep` count seconds."""

    def now(self) -> datetime: ...
    def now_us(self) -> int: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_clock: Clock = SystemClock()


def now() -> datetime:
    """Return the present time: aware, in UTC, with microseconds."""
    return _clock.now()


def now_us() -> int:
    """Return the present time in whole microseconds since 1970-01-01 UTC: what records carry."""
    return _clock.now_us()


def from_us(microseconds: int) -> datetime:
    """Turn microseconds since the epoch into an aware time in UTC, exactly."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def to_us(moment: datetime) -> int:
    """Turn an aware time into whole microseconds since the epoch, exactly."""
    past = moment - _EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def monotonic() -> float:
    """Return seconds that never go back; only differences mean something."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Block this thread for `seconds`."""
    _clock.sleep(seconds)


@contextmanager
def use(clock: Clock) -> Generator[Clock]:
    """Use `clock` in this process while the block runs; for tests."""
    global _clock
    before, _clock = _clock, clock
    try:
        yield clock
    finally:
        _clock = before
