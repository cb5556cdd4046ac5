"""A clock that a test holds in its hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from headrace.model.clock import to_us


class ControlledClock:
    """Time that passes only when told: `with headrace.model.clock.use(ControlledClock()) as clock: …; clock.pass_time(60)`.

    `sleep` does not wait: it lets the time pass at once. `slept` lists every sleep in seconds.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the time that it is here."""
        return self._now

    def now_us(self) -> int:
        """Return it in microseconds since the epoch."""
        return to_us(self._now)

    def monotonic(self) -> float:
        """Return the seconds that passed since the clock was made."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Let the time pass without waiting."""
        self.slept.append(seconds)
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass. Raises `ValueError` for less than none."""
        if seconds < 0:
            raise ValueError(f"Time does not go back; {seconds} seconds were asked for.")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
