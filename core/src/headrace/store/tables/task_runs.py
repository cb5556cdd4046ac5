"""Task runs. They are recorded in batches, late and perhaps twice, so no key binds them to a flow run that may be gone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

task_run = Table(
    "task_run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("flow_run_id", Id),
    Column("name", Text, nullable=False),
    Column("task_key", Text, nullable=False),
    Column("dynamic_key", Text, nullable=False),
    Column("state_id", Id),
    Column("state_type", Text),
    Column("state_name", Text),
    Column("state_timestamp", Timestamp),
    Column("run_count", Integer, nullable=False, server_default="0"),
    Column("flow_run_run_count", Integer, nullable=False, server_default="0"),
    Column("expected_start_time", Timestamp),
    Column("next_scheduled_start_time", Timestamp),
    Column("start_time", Timestamp),
    Column("end_time", Timestamp),
    Column("total_run_time", BigInteger, nullable=False, server_default="0"),  # microseconds spent in RUNNING states that have ended
    Column("tags", Json),
    Column("labels", Json),
    Column("task_inputs", Json),
    Column("empirical_policy", Json),
    Column("cache_key", Text),
    Column("cache_expiration", Timestamp),
    Column("task_version", Text),
    sqlite_with_rowid=False,
)

_c = task_run.c
Index("ix_task_run__flow_run_id", _c.flow_run_id, _c.task_key, _c.dynamic_key)
Index("ix_task_run__expected_start_time", _c.expected_start_time)
Index("ix_task_run__unfinished", _c.flow_run_id, sqlite_where=_c.end_time.is_(None), postgresql_where=_c.end_time.is_(None))
