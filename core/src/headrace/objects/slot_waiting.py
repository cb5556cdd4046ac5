"""Waiting for slots: a line for each set of limits, and how long who is first in it waits before asking again."""

from __future__ import annotations

import os
import random
import threading
from collections import deque
from collections.abc import Iterable

from headrace.client.bridge import asleep
from headrace.model import clock
from headrace.model.errors import AcquireConcurrencySlotTimeoutError, ConcurrencySlotAcquisitionError, SlotsUnavailable

POLL_SECONDS_MIN = 0.01  # of the first in line, on a store in this process; over HTTP the server says how long
POLL_SECONDS_USUAL = 0.05
POLL_SECONDS_MAX = 0.25  # where slots are held for long
POLLS_EACH_WAIT = 20  # how often it looks in the time that the store advises to wait
PLACE_SECONDS = 0.01  # each place in line waits that much longer before it looks whether it is first
PLACE_SECONDS_MAX = 0.25


class _Lines:
    """The lines of one process. A child made by `fork` has its own, and a lock that nobody held when it was made."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self.waiting: dict[frozenset[str], deque[Place]] = {}


_lines: _Lines | None = None


class Place:
    """A place in this process' line for a set of limits: first come, first served, and one asks for all."""

    def __init__(self, names: Iterable[str]) -> None:
        global _lines
        if _lines is None or _lines.process != os.getpid():
            _lines = _Lines()
        self._lines = _lines
        self._names = frozenset(names)

    def __enter__(self) -> Place:
        with self._lines.lock:
            self._lines.waiting.setdefault(self._names, deque()).append(self)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lines.lock:
            line = self._lines.waiting[self._names]
            line.remove(self)
            if not line:
                del self._lines.waiting[self._names]

    def number(self) -> int:
        """Return how many are before this one."""
        with self._lines.lock:
            return self._lines.waiting[self._names].index(self)


def until_first(number: int) -> float:
    """Return how long to wait, with `number` others before, until looking again whether this one is first."""
    return min(PLACE_SECONDS_MAX, PLACE_SECONDS * number)


class Patience:
    """How long to wait for slots: until `timeout_seconds` have passed, or `max_retries` times as long as the store advises."""

    def __init__(self, names: list[str], timeout_seconds: float | None, max_retries: int | None, embedded: bool) -> None:
        self._names = ", ".join(repr(name) for name in names)
        self._timeout_seconds = timeout_seconds
        self._deadline = None if timeout_seconds is None else clock.monotonic() + timeout_seconds
        self._max_retries = max_retries
        self._retries = 0
        self._retry_at = 0.0
        self._embedded = embedded
        self._step = POLL_SECONDS_MIN

    def is_over(self) -> bool:
        """Say whether the time to wait has passed."""
        return self._deadline is not None and clock.monotonic() >= self._deadline

    def refused(self, error: SlotsUnavailable, is_exact: bool) -> float:
        """Return how long to wait after a refusal. Raises when `max_retries` are used up.

        A store in this process is asked far more often than it advises, unless its advice `is_exact`; only a wait as long as advised
        counts as one retry.
        """
        now = clock.monotonic()
        if self._max_retries is not None and now >= self._retry_at:
            if self._retries >= self._max_retries:
                raise ConcurrencySlotAcquisitionError(
                    f"Could not take slots of {self._names}: {error} Gave up after {self._max_retries} retries."
                ) from error
            self._retries += 1
            self._retry_at = now + error.retry_after
        if not self._embedded:
            return error.retry_after
        longest = min(POLL_SECONDS_MAX, max(POLL_SECONDS_USUAL, error.retry_after / POLLS_EACH_WAIT))
        self._step = min(longest, self._step * 1.5)
        step = self._step * random.uniform(0.5, 1.0)
        return min(step, error.retry_after) if is_exact else step

    async def wait(self, seconds: float) -> None:
        """Wait, but not beyond the deadline. Raises `AcquireConcurrencySlotTimeoutError` at it."""
        if self._deadline is not None:
            left = self._deadline - clock.monotonic()
            if left <= 0:
                raise AcquireConcurrencySlotTimeoutError(
                    f"Could not take slots of {self._names} within {self._timeout_seconds} second(s): others hold them."
                )
            seconds = min(seconds, left)
        await asleep(seconds)
