"""The client that performs operations in this process, on a database file."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from headrace.model.caller import EMBEDDED, Caller
from headrace.model.endpoints.base import Endpoint
from headrace.model.errors import ObjectNotFound
from headrace.operations.table import answer
from headrace.store.database import Database

R = TypeVar("R")

IDS = frozenset({"id", "flow_run_id", "task_run_id", "schedule_id", "lease_id"})
"""The parameters of endpoints that are ids; a client over HTTP takes them as text too."""


class EmbeddedClient:
    """Performs every call at once, in one transaction each. Never suspends; safe to use from any thread and after a fork."""

    def __init__(self, database: Database, caller: Caller = EMBEDDED) -> None:
        self.database = database
        self._caller = caller

    async def call(self, endpoint: Endpoint[R], body: Any = None, **parameters: Any) -> R:
        """Perform `endpoint`; see `Client.call`. Raises `ObjectNotFound` for text that is no id."""
        for name, value in parameters.items():
            if name in IDS and isinstance(value, str):
                parameters[name] = _id(name, value)
        return answer(self.database, endpoint, body, parameters, self._caller)[0]

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def _id(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ObjectNotFound(help_message=f"{text!r} is no {name}: ids are UUIDs, like 01a1fe2f-44e3-716b-b488-ef792bea1e01.") from None
