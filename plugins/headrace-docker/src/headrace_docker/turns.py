"""One after the other, for those who do the same thing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turn:
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0


class Turns:
    """Lets one thread at a time do what goes by a name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[str, _Turn] = {}

    @contextmanager
    def taken(self, name: str) -> Iterator[bool]:
        """Wait for the turn; give whether another had it when this one came."""
        with self._lock:
            turn = self._turns.setdefault(name, _Turn())
            is_second = turn.waiting > 0
            turn.waiting += 1
        try:
            with turn.lock:
                yield is_second
        finally:
            with self._lock:
                turn.waiting -= 1
                if not turn.waiting:
                    del self._turns[name]
