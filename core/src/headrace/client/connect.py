"""Finding the client: embedded, one for each process and database address, opened at first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.client.embedded import EmbeddedClient
    from headrace.client.interface import Client

_clients: dict[str, EmbeddedClient] = {}


def current_client() -> Client:
    """Return the client of this process for the present settings."""
    url = _connection_url()
    client = _clients.get(url)
    if client is None:
        from headrace.client.embedded import EmbeddedClient
        from headrace.store.database import Database

        client = _clients.setdefault(url, EmbeddedClient(Database(url)))
    return client


def _connection_url() -> str:
    return get_current_settings().server.database.connection_url.get_secret_value()
