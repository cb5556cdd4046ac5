"""A bounded pool of connections: the one used last is taken first, so that the rest grow old and are closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic  # a connection ages by the server's time, also while a test holds the clock
from typing import Generic, Protocol, TypeVar


class Pooled(Protocol):
    """What the pool asks of a connection."""

    opened: float
    generation: int

    def close(self) -> None: ...


C = TypeVar("C", bound=Pooled)


class PoolExhausted(Exception):
    """No connection came free in time. `args[0]` says how many there are."""


class Pool(Generic[C]):
    """Holds at most `size` idle connections, and at most `size + overflow` in all (`overflow` -1: no limit).

    `timeout` is how many seconds `take` waits for one (None: for ever), `recycle` how many a connection lives (-1: for ever).
    """

    def __init__(self, connect: Callable[[], C], size: int, overflow: int, timeout: float | None, recycle: float) -> None:
        self._connect = connect
        self._size = max(1, size)
        self._most = None if overflow < 0 else self._size + overflow
        self._timeout = timeout
        self._recycle = recycle
        self._idle: list[C] = []
        self._count = 0
        self._changed = threading.Condition()
        self._generation = 0

    def take(self) -> C:
        """Return an idle connection, or a new one. Raises `PoolExhausted`, and what connecting raises."""
        with self._changed:
            while True:
                while self._idle:
                    found = self._idle.pop()
                    if self._is_fresh(found):
                        return found
                    self._drop(found)
                if self._most is None or self._count < self._most:
                    self._count += 1
                    break
                if not self._changed.wait(self._timeout):
                    raise PoolExhausted(self._count)
        try:
            made = self._connect()
        except BaseException:
            self._leave()
            raise
        made.opened, made.generation = monotonic(), self._generation
        return made

    def give(self, connection: C) -> None:
        """Take a connection back for the next one."""
        with self._changed:
            if len(self._idle) < self._size and self._is_fresh(connection):
                self._idle.append(connection)
            else:
                self._drop(connection)
            self._changed.notify()

    def discard(self, connection: C) -> None:
        """Close a connection that is of no use any more."""
        with self._changed:
            self._drop(connection)
            self._changed.notify()

    def forget_idle(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._changed:
            self._generation += 1
            while self._idle:
                self._drop(self._idle.pop())

    def _leave(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()

    def _drop(self, connection: C) -> None:
        self._count -= 1
        connection.close()

    def _is_fresh(self, connection: C) -> bool:
        if connection.generation != self._generation:
            return False
        return self._recycle < 0 or monotonic() - connection.opened < self._recycle
