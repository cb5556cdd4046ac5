"""Searches that users saved by name."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

saved_search = Table(
    "saved_search",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("filters", Json, nullable=False),
)

Index("uq_saved_search__name", saved_search.c.name, unique=True)
