"""The client that performs operations in this process, on a database file."""

from __future__ import annotations

from typing import Any, TypeVar

from headrace.model.endpoints.base import Endpoint
from headrace.operations.table import perform
from headrace.store.database import Database

R = TypeVar("R")


class EmbeddedClient:
    """Performs every call at once, in one transaction each. Never suspends; safe to use from any thread and after a fork."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def call(self, endpoint: Endpoint[R], body: Any = None, **parameters: Any) -> R:
        """Perform `endpoint`; see `Client.call`."""
        return perform(self.database, endpoint, body, parameters)

    def close(self) -> None:
        """Close the database."""
        self.database.close()
