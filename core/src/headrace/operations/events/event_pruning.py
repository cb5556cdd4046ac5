"""Deleting events that are older than they should be."""

from __future__ import annotations

from datetime import datetime

from headrace.operations.conditions import Conditions
from headrace.settings import get_current_settings
from headrace.store.codec import microseconds
from headrace.store.database import Transaction


def prune_events(tx: Transaction, now: datetime, limit: int) -> int:
    """Delete at most `limit` events that are too old by the settings, and return how many.

    Events are kept for `server.events.retention_period`, those whose name has an override for less if it says so.
    """
    settings = get_current_settings().server
    for_all = settings.events.retention_period
    deleted = 0
    for name, own in settings.services.db_vacuum.event_retention_overrides.items():
        if own < for_all and deleted < limit:
            deleted += _prune(tx, now - own, name, limit - deleted)
    if deleted < limit:
        deleted += _prune(tx, now - for_all, None, limit - deleted)
    return deleted


def _prune(tx: Transaction, before: datetime, name: str | None, limit: int) -> int:
    where = Conditions()
    where.add("occurred < ?", microseconds(before))
    where.any_of("event", None if name is None else [name])
    keys = [key for (key,) in tx.sql(f"SELECT id FROM events WHERE {where.joined()} ORDER BY occurred LIMIT ?", (*where.values, limit))]
    if keys:
        places = ", ".join("?" * len(keys))
        tx.sql_count(f"DELETE FROM event_resources WHERE event_id IN ({places})", keys)
        tx.sql_count(f"DELETE FROM events WHERE id IN ({places})", keys)
    return len(keys)
