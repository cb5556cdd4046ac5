"""Flows."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

flow = Table(
    "flow",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("tags", Json),  # NULL: none
    Column("labels", Json),  # NULL: none
    sqlite_with_rowid=False,
)
