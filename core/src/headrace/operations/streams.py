"""What streams read beside what is published: events and log lines by id, the events of the past in order, and what is new in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from headrace.model.event_filters import EventFilter
from headrace.model.events import ReceivedEvent
from headrace.operations.events.event_conditions import event_conditions
from headrace.operations.events.events import events_out
from headrace.store.codec import id_out, microseconds
from headrace.store.database import Row, Transaction
from headrace.store.statements.events import EVENT_COLUMNS
from headrace.store.statements.runs import LOG_COLUMNS

LogLine = Sequence[Any]
"""id, name, level, message, timestamp in microseconds, flow run id, task run id; ids are UUIDs or text. What the topic `logs` carries."""

_EVENT = f"SELECT {', '.join(f'e.{name}' for name in EVENT_COLUMNS)} FROM events e"


def _places(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def events_page(tx: Transaction, wanted: EventFilter, after: ReceivedEvent | None, limit: int) -> list[ReceivedEvent]:
    """Return the next events that match, in the order of their times and ids; `after` is the last one of the page before."""
    where = event_conditions(wanted)
    if after is not None:
        where.add("(e.occurred, e.id) > (?, ?)", microseconds(after.occurred), after.id.bytes)
    return events_out(tx, tx.sql(f"{_EVENT} WHERE {where.joined()} ORDER BY e.occurred, e.id LIMIT ?", (*where.values, limit)))


def events_by_id(tx: Transaction, ids: Sequence[UUID]) -> list[ReceivedEvent]:
    """Return events in the order of `ids`, less those that are deleted."""
    rows = tx.sql(f"{_EVENT} WHERE e.id IN ({_places(ids)})", [id.bytes for id in ids])
    found = {event.id: event for event in events_out(tx, rows)}
    return [found[id] for id in ids if id in found]


def logs_by_id(tx: Transaction, ids: Sequence[UUID]) -> list[LogLine]:
    """Return log lines in the order of `ids`, less those that are deleted."""
    rows = tx.sql(f"SELECT {', '.join(LOG_COLUMNS)} FROM log WHERE id IN ({_places(ids)})", [id.bytes for id in ids])
    found = {row[0]: row for row in rows}
    return [_line(found[id.bytes]) for id in ids if id.bytes in found]


def _line(row: Row) -> LogLine:
    id, timestamp, level, name, message, flow_run_id, task_run_id = row
    return UUID(bytes=id), name, level, message, timestamp, id_out(flow_run_id), id_out(task_run_id)


_TIMES = {"events": "received", "log": "timestamp"}


def last_row(tx: Transaction, table: str) -> int:
    """Return the number of the newest row in a table of an SQLite file. Numbers rise in the order of the commits."""
    return tx.sql(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}")[0][0]


def rows_after(tx: Transaction, table: str, number: int, since: int, limit: int) -> list[tuple[int, UUID]]:
    """Return number and id of the rows with a higher number, of an SQLite file; `since` (microseconds) leaves out what is older."""
    rows = tx.sql(f"SELECT rowid, id FROM {table} WHERE rowid > ? AND {_TIMES[table]} >= ? ORDER BY rowid LIMIT ?", (number, since, limit))
    return [(row[0], UUID(bytes=row[1])) for row in rows]


def ids_since(tx: Transaction, table: str, since: int) -> list[UUID]:
    """Return the ids of rows that are not older than `since` (microseconds), oldest first."""
    column = _TIMES[table]
    return [UUID(bytes=row[0]) for row in tx.sql(f"SELECT id FROM {table} WHERE {column} >= ? ORDER BY {column}, id", (since,))]
