"""The step that deletes old events, some kinds of them earlier than others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from headrace.model import clock
from headrace.store.database import Transaction
from headrace.store.translation import SKIP_LOCKED


def prune_events(tx: Transaction, now: datetime, limit: int, *, retention: timedelta, overrides: Mapping[str, timedelta]) -> int:
    """Delete at most `limit` events that occurred longer than `retention` ago, or than what `overrides` say for their name. Return how many."""
    left = limit
    for name, kept in overrides.items():
        if kept < retention and left > 0:
            left -= _delete(tx, "event = ? AND occurred < ?", (name, clock.to_us(now - kept)), left)
    if left > 0:
        left -= _delete(tx, "occurred < ?", (clock.to_us(now - retention),), left)
    return limit - left


def _delete(tx: Transaction, where: str, values: tuple[str | int, ...], limit: int) -> int:
    keys = [key for (key,) in tx.sql(f"SELECT id FROM events WHERE {where} ORDER BY occurred LIMIT ? {SKIP_LOCKED}", (*values, limit))]
    if keys:
        places = ", ".join("?" * len(keys))
        tx.sql_count(f"DELETE FROM event_resources WHERE event_id IN ({places})", keys)
        tx.sql_count(f"DELETE FROM events WHERE id IN ({places})", keys)
    return len(keys)
