"""Events, and one row for each related resource. What JSON they hold stays text on both databases: it is read back as it came."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Timestamp

event = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("occurred", Timestamp, nullable=False),
    Column("received", Timestamp, nullable=False),
    Column("event", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("resource", Text, nullable=False),  # labels
    Column("payload", Text, nullable=False),
    Column("follows", Id),
)

Index("ix_events__occurred", event.c.occurred)
Index("ix_events__event_occurred", event.c.event, event.c.occurred)
Index("ix_events__resource_id_occurred", event.c.resource_id, event.c.occurred)

event_resource = Table(
    "event_resources",
    metadata,
    # no foreign key: rows come in batches with their events and go with them, and a check a row would cost as much as the row
    Column("event_id", Id, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("resource_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("labels", Text, nullable=False),
    sqlite_with_rowid=False,
)

Index("ix_event_resources__resource_id", event_resource.c.resource_id)
