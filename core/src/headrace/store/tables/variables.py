"""Variables."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

variable = Table(
    "variable",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Json),
    Column("tags", Json, nullable=False),
)

Index("uq_variable__name", variable.c.name, unique=True)
