"""What everything above this room knows of a client."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from headrace.model.endpoints.base import Endpoint

R = TypeVar("R")


class Client(Protocol):
    """Reaches the operations. In a blocking run `call` never suspends, so `bridge.drive` can finish it."""

    async def call(self, endpoint: Endpoint[R], body: Any = None, **parameters: Any) -> R:
        """Perform `endpoint` with `body` (its model) and its path and query parameters; return its answer.

        Raises `ObjectNotFound`, `ObjectAlreadyExists`, `InvalidRequest`, `SlotsUnavailable`, `StoreError`, …
        """
        ...
