"""Log lines."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Timestamp

log = Table(
    "log",
    metadata,
    Column("id", Id, primary_key=True),
    Column("timestamp", Timestamp, nullable=False),
    Column("level", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("flow_run_id", Id),
    Column("task_run_id", Id),
    # rows are numbered by SQLite, in the order of their commits: a server reads from there on what other processes wrote
)

_c = log.c
Index("ix_log__flow_run_id", _c.flow_run_id, _c.timestamp)
Index("ix_log__task_run_id", _c.task_run_id, _c.timestamp, sqlite_where=_c.task_run_id.is_not(None))
Index("ix_log__timestamp", _c.timestamp)
