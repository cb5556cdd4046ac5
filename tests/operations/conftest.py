"""A way to perform operations as everyone does: through the client of this process."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model.caller import SERVICE, Caller
from headrace.model.endpoints.base import Endpoint
from headrace.operations import table
from headrace.settings import get_current_settings
from headrace.store.database import Database, Published


@pytest.fixture
def call(database: str) -> Callable[..., Any]:
    """Perform an endpoint on the test's own database, of each kind."""
    return lambda endpoint, body=None, **parameters: drive(current_client().call(endpoint, body, **parameters))


class Server:
    """Performs endpoints as a server does, on the test's database, and keeps what is published."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.published: list[Published] = []
        database.listeners.append(self.published.extend)

    def __call__(self, endpoint: Endpoint[Any], body: Any = None, **parameters: Any) -> Any:
        return self.answer(endpoint, body, SERVICE, **parameters)[0]

    def answer(self, endpoint: Endpoint[Any], body: Any, caller: Caller, **parameters: Any) -> tuple[Any, int]:
        return table.answer(self.database, endpoint, body, parameters, caller)


@pytest.fixture
def server(database: str) -> Generator[Server, None, None]:
    """Perform endpoints as a server does, on each kind of database."""
    opened = Database(get_current_settings().server.database.connection_url.get_secret_value())
    yield Server(opened)
    opened.close()
