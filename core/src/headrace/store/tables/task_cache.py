"""Cache keys of task runs, and the state that holds what was computed under each."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Timestamp

task_run_cache = Table(
    "task_run_cache",
    metadata,
    Column("cache_key", Text, primary_key=True),
    Column("task_run_id", Id, nullable=False),
    Column("state_id", Id, nullable=False),
    Column("expiration", Timestamp),  # NULL: for ever
    sqlite_with_rowid=False,
)
