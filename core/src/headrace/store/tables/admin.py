"""Small facts about the installation itself, each a JSON document under a key."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Json, Timestamp

configuration = Table(
    "configuration",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Json),
    Column("updated", Timestamp, nullable=False),
)
