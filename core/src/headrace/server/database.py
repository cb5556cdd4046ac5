"""The server's database: the one that the settings name, and changing the version of its schema by hand (`headrace server database`)."""

from __future__ import annotations

from headrace.settings import get_current_settings
from headrace.store.database import Database
from headrace.store.schema import HEAD
from headrace.store.versions import current, draft, move, plan, reset

__all__ = ["HEAD", "Database", "current", "database_in_force", "draft", "move", "plan", "reset"]


def database_in_force() -> Database:
    """Return the database of the present settings, with what plugins say about connecting to it. Nothing is opened yet."""
    settings = get_current_settings()
    url = settings.server.database.connection_url.get_secret_value()
    if not settings.plugins.enabled:
        return Database(url)
    from headrace.plugin.startup import database_connection_arguments

    return Database(url, database_connection_arguments(url, settings))
