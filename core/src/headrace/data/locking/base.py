"""What a lock manager is, what isolation means, and how waiting for a lock is done once for both modes."""

from __future__ import annotations

import abc
from typing import ClassVar, Protocol, runtime_checkable

from headrace.client.bridge import asleep, drive
from headrace.data.collections import AutoEnum
from headrace.model import clock

POLL_SECONDS_FIRST = 0.005
POLL_SECONDS_MAX = 0.25


class IsolationLevel(AutoEnum):
    """What simultaneous transactions with one key see of each other.

    READ_COMMITTED: each sees the last committed record; two may run at once. SERIALIZABLE: each takes a lock on the key
    first, so only one runs; this needs a lock manager.
    """

    READ_COMMITTED = AutoEnum.auto()
    SERIALIZABLE = AutoEnum.auto()


@runtime_checkable
class LockManager(Protocol):
    """Grants exclusive locks on keys to holders. Times are seconds.

    A holder that asks again for a lock it has gets True. `acquire_timeout` bounds the wait (0: do not wait; None: for ever);
    `hold_timeout` bounds the holding, after which others may take the lock (None: until released or the holder is gone).
    `release_lock` raises `ValueError` when the holder does not hold the lock.
    """

    def acquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None) -> bool:
        """Take the lock; False when it did not become free in time."""
        ...

    async def aacquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None) -> bool:
        """Take the lock; False when it did not become free in time."""
        ...

    def release_lock(self, key: str, holder: str) -> None:
        """Give the lock back."""
        ...

    def is_locked(self, key: str) -> bool:
        """Say whether anybody holds the lock."""
        ...

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Say whether `holder` holds the lock."""
        ...

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds the lock; False when that did not happen within `timeout` seconds."""
        ...

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds the lock; False when that did not happen within `timeout` seconds."""
        ...


class Patience:
    """Waits between tries, longer each time up to `longest`, until `timeout` seconds have passed."""

    __slots__ = ("_deadline", "_longest", "_next")

    def __init__(self, timeout: float | None, longest: float) -> None:
        self._deadline = None if timeout is None else clock.monotonic() + timeout
        self._next = min(POLL_SECONDS_FIRST, longest)
        self._longest = longest

    async def wait(self) -> bool:
        """Wait a little; False, without waiting, when the time is over."""
        seconds = self._next
        if self._deadline is not None:
            seconds = min(seconds, self._deadline - clock.monotonic())
            if seconds <= 0:
                return False
        self._next = min(self._next * 1.5, self._longest)
        await asleep(seconds)
        return True


class WaitingLocks(abc.ABC):
    """A lock manager whose waiters look again and again, at least every `look_seconds_max`. A subclass says how one try goes."""

    look_seconds_max: ClassVar[float] = POLL_SECONDS_MAX

    @abc.abstractmethod
    def try_lock(self, key: str, holder: str, hold_timeout: float | None = None) -> bool:
        """Take the lock if it is free; say whether `holder` has it."""

    @abc.abstractmethod
    def is_locked(self, key: str) -> bool:
        """Say whether anybody holds the lock."""

    async def aacquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None) -> bool:
        """Take the lock; False when it did not become free within `acquire_timeout` seconds."""
        patience = Patience(acquire_timeout, self.look_seconds_max)
        while not self.try_lock(key, holder, hold_timeout):
            if not await patience.wait():
                return False
        return True

    def acquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None) -> bool:
        """Take the lock; False when it did not become free within `acquire_timeout` seconds."""
        return drive(self.aacquire_lock(key, holder, acquire_timeout, hold_timeout))

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds the lock; False when that did not happen within `timeout` seconds."""
        patience = Patience(timeout, self.look_seconds_max)
        while self.is_locked(key):
            if not await patience.wait():
                return False
        return True

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds the lock; False when that did not happen within `timeout` seconds."""
        return drive(self.await_for_lock(key, timeout))
