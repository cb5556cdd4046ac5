"""Locks in this process's memory, for threads and coroutines."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import ClassVar, Self

from headrace.data.locking.base import WaitingLocks
from headrace.model import clock


@dataclass(slots=True)
class _Held:
    holder: str
    expires: float | None  # on the monotonic clock


class MemoryLockManager(WaitingLocks):
    """Grants locks to threads and coroutines of this process. There is one manager in a process: every call returns it."""

    look_seconds_max: ClassVar[float] = 0.01  # a look into memory costs a microsecond
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

    def try_lock(self, key: str, holder: str, hold_timeout: float | None = None) -> bool:
        """Take the lock if it is free; say whether `holder` has it."""
        with self._guard:
            held = self._present(key)
            if held is None:
                expires = None if hold_timeout is None else clock.monotonic() + hold_timeout
                self._locks[key] = _Held(holder, expires)
                return True
            return held.holder == holder

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
