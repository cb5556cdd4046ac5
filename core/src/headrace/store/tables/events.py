"""Events, and one row for each resource that took part (the primary one has the role '')."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

event = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("occurred", Timestamp, nullable=False),
    Column("received", Timestamp, nullable=False),
    Column("event", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("resource", Json, nullable=False),
    Column("related", Json, nullable=False),
    Column("payload", Json, nullable=False),
    Column("follows", Id),
)

Index("ix_events__occurred", event.c.occurred)
Index("ix_events__event_occurred", event.c.event, event.c.occurred)

event_resource = Table(
    "event_resources",
    metadata,
    Column("resource_id", Text, primary_key=True),
    Column("event_id", Id, ForeignKey(event.c.id, ondelete="CASCADE"), primary_key=True),
    Column("role", Text, primary_key=True),
    sqlite_with_rowid=False,
)

Index("ix_event_resources__event_id", event_resource.c.event_id)
