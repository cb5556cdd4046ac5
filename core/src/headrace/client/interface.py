"""What everything above this room knows of a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable
from uuid import UUID

from headrace.model.endpoints.base import Endpoint

R = TypeVar("R")


class Client(Protocol):
    """Reaches the operations. In a blocking run `call` never suspends, so `bridge.drive` can finish it."""

    async def call(self, endpoint: Endpoint[R], body: Any = None, **parameters: Any) -> R:
        """Perform `endpoint` with `body` (its model) and its path and query parameters; return its answer.

        Raises `ObjectNotFound`, `ObjectAlreadyExists`, `InvalidRequest`, `SlotsUnavailable`, `StoreError`, …
        """
        ...


@runtime_checkable
class RemoteClient(Client, Protocol):
    """Reaches operations on a server, which may be away for a while and hears of this process only what is sent."""

    url: str
    open_runs: set[UUID]
    """Flow runs that this process has begun there and not yet ended."""

    keep_end: Callable[[UUID, bytes], str] | None
    """Keeps a final state that could not be proposed, given the flow run and the body of the request; says where."""
