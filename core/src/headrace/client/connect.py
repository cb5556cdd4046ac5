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

_clients: dict[tuple[Any, ...], EmbeddedClient | HttpClient] = {}
_last: tuple[object, Any] = (None, None)


def current_client() -> Client:
    """Return the client of this process for the present settings: of the server that the API URL names, else of the embedded database.

    The first call also looks for processes that died, delivers what they left and marks their runs Crashed. Raises `StoreError` when the
    database cannot be used.
    """
    global _last
    settings = get_current_settings()
    known, client = _last
    if known is settings:
        return client
    key = _key(settings)
    client = _clients.get(key)
    if client is None:
        client = _clients.setdefault(key, _open(settings))
        _last = (settings, client)
        recover_dead()
    _last = (settings, client)
    return client


def _key(settings: Settings) -> tuple[Any, ...]:
    """Return all that a client is made of."""
    api, client = settings.api, settings.client
    if not api.url:
        return (target_of(settings),)
    told = (api.auth_string, api.key, api.tls_insecure_skip_verify, api.request_timeout, client.max_retries, client.retry_jitter_factor)
    more = (
        client.csrf_support_enabled,
        client.server_version_check_enabled,
        frozenset(client.retry_extra_codes),
        *sorted(client.custom_headers.items()),
    )
    return (target_of(settings), api.ssl_cert_file if api.url.startswith("https:") else None, *told, *more)


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


def _open(settings: Settings) -> EmbeddedClient | HttpClient:
    target = target_of(settings)
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
    global _last
    client = _clients.pop(_key(get_current_settings()), None)
    _last = (None, None)
    if client is not None:
        client.close()
