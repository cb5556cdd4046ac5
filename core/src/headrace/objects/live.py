"""What an object holds open for its own process: clients, connections. Made at first use; copies and pickles begin without it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Live(Generic[T]):
    """One thing that is made when it is first asked for, by one thread at a time.

    Keep it in a private attribute: `_client: Live[Client] = PrivateAttr(default_factory=Live)`. Two of them are equal whatever they hold, so that
    blocks compare by their fields; a process that was forked makes its own.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: tuple[T, int] | None = None

    def get(self, make: Callable[[], T]) -> T:
        """Return the thing, made by `make` unless it is there."""
        with self._lock:
            if self._made is None or self._made[1] != os.getpid():
                self._made = (make(), os.getpid())
            return self._made[0]

    def drop(self, only: T | None = None) -> T | None:
        """Forget the thing and return it, for the caller to close; None when there was none. With `only`, when it is that one."""
        with self._lock:
            if only is not None and (self._made is None or self._made[0] is not only):
                return None
            made, self._made = self._made, None
        return made[0] if made is not None and made[1] == os.getpid() else None

    @property
    def is_made(self) -> bool:
        """Whether the thing is there."""
        return self._made is not None and self._made[1] == os.getpid()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Live)

    def __hash__(self) -> int:
        return hash(Live)

    def __reduce__(self) -> tuple[type[Any], tuple[()]]:
        return (type(self), ())

    def __copy__(self) -> Live[T]:
        return type(self)()

    def __deepcopy__(self, memo: dict[int, Any]) -> Live[T]:
        return type(self)()

    def __repr__(self) -> str:
        return "Live()"
