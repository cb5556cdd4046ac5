"""Locks in this process's memory, for threads and coroutines."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import ClassVar, Self

from headrace.client.bridge import drive
from headrace.data.locking.base import Patience
from headrace.model import clock

POLL_SECONDS = 0.01
"""A look into memory costs a microsecond, so those who wait look often."""


@dataclass(slots=True)
class _Held:
    holder: str
    expires: float | None  # on the monotonic clock


class MemoryLockManager:
    """Grants locks to threads and coroutines of this process. There is one manager in a process: every call returns it."""

    _the_one: ClassVar[Self | None] = None
    _guard: ClassVar[Lock] = Lock()

    def __new__(cls) -> Self:
        with cls._guard:
            if cls._the_one is None:
                cls._the_one = super().__new__(cls)
                cls._the_one._locks = {}
            return cls._the_one

    _locks: dict[str, _Held]

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()  # in another process: that process's one

    def _present(self, key: str) -> _Held | None:
        """Return who holds the lock now, forgetting a holder whose time is over. Called under the guard."""
        held = self._locks.get(key)
        if held is not None and held.expires is not None and held.expires <= clock.monotonic():
            del self._locks[key]
            return None
        return held

    def _try(self, key: str, holder: str, hold_timeout: float | None) -> bool:
        with self._guard:
            held = self._present(key)
            if held is None:
                expires = None if hold_timeout is None else clock.monotonic() + hold_timeout
                self._locks[key] = _Held(holder, expires)
                return True
            return held.holder == holder

    async def aacquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None) -> bool:
        """Take the lock; False when it did not become free within `acquire_timeout` seconds."""
        patience = Patience(acquire_timeout, POLL_SECONDS)
        while not self._try(key, holder, hold_timeout):
            if not await patience.wait():
                return False
        return True

    def acquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None, hold_timeout: float | None = None) -> bool:
        """Take the lock; False when it did not become free within `acquire_timeout` seconds."""
        return drive(self.aacquire_lock(key, holder, acquire_timeout, hold_timeout))

    def release_lock(self, key: str, holder: str) -> None:
        """Give the lock back. Raises `ValueError` when `holder` does not hold it."""
        with self._guard:
            held = self._present(key)
            if held is None or held.holder != holder:
                raise ValueError(f"No lock on {key!r} is held by {holder!r}" + (f"; {held.holder!r} holds it." if held else "."))
            del self._locks[key]

    def is_locked(self, key: str) -> bool:
        """Say whether anybody holds the lock."""
        with self._guard:
            return self._present(key) is not None

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Say whether `holder` holds the lock."""
        with self._guard:
            held = self._present(key)
            return held is not None and held.holder == holder

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds the lock; False when that did not happen within `timeout` seconds."""
        patience = Patience(timeout, POLL_SECONDS)
        while self.is_locked(key):
            if not await patience.wait():
                return False
        return True

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds the lock; False when that did not happen within `timeout` seconds."""
        return drive(self.await_for_lock(key, timeout))
