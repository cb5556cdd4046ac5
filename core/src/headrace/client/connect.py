"""Finding the client: embedded, one for each process and database address, opened at first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.client.spool import recover
from headrace.model.errors import ConfigurationError
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.client.embedded import EmbeddedClient
    from headrace.client.interface import Client
    from headrace.settings import Settings

_clients: dict[str, EmbeddedClient] = {}


def current_client() -> Client:
    """Return the client of this process for the present settings.

    The first call also looks for processes that died, delivers what they left and marks their runs Crashed. Raises `ConfigurationError` when an
    API URL is set, as nothing would ever reach it, and `StoreError` when the database cannot be used.
    """
    settings = get_current_settings()
    if settings.api.url is not None:
        raise ConfigurationError(
            f"HEADRACE_API_URL names the server {settings.api.url}, but this version of headrace keeps runs in a local database and talks to "
            "no server. Unset it (`headrace config unset HEADRACE_API_URL`, or the environment variable) to run here."
        )
    url = settings.server.database.connection_url.get_secret_value()
    client = _clients.get(url)
    if client is None:
        from headrace.client.embedded import EmbeddedClient
        from headrace.store.database import Database

        client = _clients.setdefault(url, EmbeddedClient(Database(url, _connection_arguments(url, settings))))
        recover(settings.home / "spool", client)
    return client


def _connection_arguments(url: str, settings: Settings) -> dict[str, Any]:
    """Ask the plugins, if their hooks are switched on, what the database driver's `connect` is to be given."""
    if not settings.plugins.enabled:
        return {}
    from headrace.plugin.startup import database_connection_arguments

    return database_connection_arguments(url, settings)


def forget_client() -> None:
    """Close the client for the present settings, if there is one; the next call opens another. For tests whose database goes away."""
    url = get_current_settings().server.database.connection_url.get_secret_value()
    client = _clients.pop(url, None)
    if client is not None:
        client.database.close()
