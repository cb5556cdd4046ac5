"""The client that performs operations in this process, on a database file."""

from __future__ import annotations

from typing import Any, TypeVar

from headrace.model.caller import EMBEDDED, Caller
from headrace.model.endpoints.base import Endpoint
from headrace.operations.table import answer
from headrace.store.database import Database

R = TypeVar("R")


class EmbeddedClient:
    """Performs every call at once, in one transaction each. Never suspends; safe to use from any thread and after a fork."""

    def __init__(self, database: Database, caller: Caller = EMBEDDED) -> None:
        self.database = database
        self._caller = caller

    async def call(self, endpoint: Endpoint[R], body: Any = None, **parameters: Any) -> R:
        """Perform `endpoint`; see `Client.call`."""
        return answer(self.database, endpoint, body, parameters, self._caller)[0]

    def close(self) -> None:
        """Close the database."""
        self.database.close()
