"""Finding the client: one for each process and address (of a database, or of a server), opened at first use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from headrace.client.delivery import recover
from headrace.model.errors import HeadraceHTTPStatusError, ServerUnreachable
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.client.embedded import EmbeddedClient
    from headrace.client.http import HttpClient
    from headrace.client.interface import Client
    from headrace.settings import Settings

_clients: dict[str, EmbeddedClient | HttpClient] = {}


def current_client() -> Client:
    """Return the client of this process for the present settings: of the server that the API URL names, else of the embedded database.

    The first call also looks for processes that died, delivers what they left and marks their runs Crashed. Raises `StoreError` when the
    database cannot be used.
    """
    settings = get_current_settings()
    target = target_of(settings)
    client = _clients.get(target)
    if client is None:
        client = _clients.setdefault(target, _open(target, settings))
        recover_dead()
    return client


def target_of(settings: Settings) -> str:
    """Return the address that runs are kept at: that of the API, or that of the embedded database."""
    url = settings.api.url
    return url.rstrip("/") if url else settings.server.database.connection_url.get_secret_value()


def spool_folder(settings: Settings) -> Path:
    """Return where records for the present address wait. Each has its own folder, so that none is delivered to another's runs."""
    target = target_of(settings)
    if target == f"sqlite:///{settings.home / 'headrace.db'}":
        return settings.home / "spool"
    from hashlib import sha256

    return settings.home / "spool" / sha256(target.encode()).hexdigest()[:16]


def _open(target: str, settings: Settings) -> EmbeddedClient | HttpClient:
    if settings.api.url:
        from headrace.client.http import HttpClient

        return HttpClient(target, settings)
    from headrace.client.embedded import EmbeddedClient
    from headrace.store.database import Database

    return EmbeddedClient(Database(target, _connection_arguments(target, settings)))


def recover_dead() -> None:
    """Deliver what dead processes left for the present address, and mark their runs Crashed.

    When the server is away a later process does it; this one has its own work to do.
    """
    folder = spool_folder(get_current_settings())
    try:
        recover(folder, current_client())
    except (ServerUnreachable, HeadraceHTTPStatusError) as error:
        logging.getLogger("headrace.client").warning("Records of an earlier process still wait in %s. %s", folder, error)


def _connection_arguments(url: str, settings: Settings) -> dict[str, Any]:
    """Ask the plugins, if their hooks are switched on, what the database driver's `connect` is to be given."""
    if not settings.plugins.enabled:
        return {}
    from headrace.plugin.startup import database_connection_arguments

    return database_connection_arguments(url, settings)


def forget_client() -> None:
    """Close the client for the present settings, if there is one; the next call opens another. For tests whose database goes away."""
    client = _clients.pop(target_of(get_current_settings()), None)
    if client is not None:
        client.close()
