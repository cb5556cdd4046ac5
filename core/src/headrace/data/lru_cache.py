"""A memory that forgets what was unused for longest."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class LRUCache(Generic[V]):
    """The `size_max` values used last, by key. Safe to use from several threads."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._values: OrderedDict[str, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> V | None:
        """Return the value, which is now the one used last; None when it is not held."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: str, value: V) -> None:
        """Hold the value, and drop the one unused for longest when there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._size_max:
                self._values.popitem(last=False)

    def drop(self, key: str) -> None:
        """Hold the value no longer."""
        with self._lock:
            self._values.pop(key, None)

    def __len__(self) -> int:
        return len(self._values)

    def __reduce__(self) -> tuple[type[LRUCache[V]], tuple[int]]:
        return type(self), (self._size_max,)  # in another process: empty
