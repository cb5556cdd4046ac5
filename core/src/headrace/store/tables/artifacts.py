"""Artifacts, every version of them. The latest version of a key is found by query: ids grow with time."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

artifact = Table(
    "artifact",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("key", Text),
    Column("type", Text),
    Column("description", Text),
    Column("data", Json),
    Column("metadata_", Json),
    Column("flow_run_id", Id),
    Column("task_run_id", Id),
)

_c = artifact.c
Index("ix_artifact__key_id", _c.key, _c.id, sqlite_where=_c.key.is_not(None), postgresql_where=_c.key.is_not(None))
Index("ix_artifact__flow_run_id", _c.flow_run_id, sqlite_where=_c.flow_run_id.is_not(None))
Index("ix_artifact__task_run_id", _c.task_run_id, sqlite_where=_c.task_run_id.is_not(None))
