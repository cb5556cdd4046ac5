"""Flow runs. The present state is copied into the row (`state_*`), so that lists need no second table."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text, func

from headrace.store.tables import flows, metadata
from headrace.store.types import Id, Json, Timestamp

flow_run = Table(
    "flow_run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("flow_id", Id, ForeignKey(flows.flow.c.id), nullable=False),
    Column("name", Text, nullable=False),
    Column("state_id", Id),
    Column("state_type", Text),
    Column("state_name", Text),
    Column("state_timestamp", Timestamp),
    Column("run_count", Integer, nullable=False, server_default="0"),
    Column("expected_start_time", Timestamp),
    Column("next_scheduled_start_time", Timestamp),
    Column("start_time", Timestamp),
    Column("end_time", Timestamp),
    Column("total_run_time", BigInteger, nullable=False, server_default="0"),  # microseconds spent in RUNNING states that have ended
    Column("parameters", Json),
    Column("context", Json),
    Column("tags", Json),
    Column("labels", Json),
    Column("empirical_policy", Json),
    Column("parent_task_run_id", Id),
    Column("owner_id", Id),  # the process that runs it: what it leaves unfinished when it dies is marked Crashed
    Column("flow_version", Text),
    Column("idempotency_key", Text),
    Column("deployment_id", Id),
    Column("deployment_version", Text),
    Column("work_queue_id", Id),
    Column("work_queue_name", Text),
    Column("work_pool_id", Id),
    Column("work_pool_name", Text),
    Column("auto_scheduled", Boolean, nullable=False, server_default="0"),
    Column("infrastructure_document_id", Id),
    Column("infrastructure_pid", Text),
    Column("job_variables", Json),
    Column("created_by", Json),
    sqlite_with_rowid=False,
)

_c = flow_run.c
Index("ix_flow_run__flow_id_expected_start_time", _c.flow_id, _c.expected_start_time)
Index("ix_flow_run__expected_start_time", _c.expected_start_time)
Index("ix_flow_run__start", func.coalesce(_c.start_time, _c.expected_start_time))  # as the sort START_TIME says it
Index("ix_flow_run__name", _c.name)
Index("ix_flow_run__state_type_next_scheduled_start_time", _c.state_type, _c.next_scheduled_start_time)
Index("uq_flow_run__flow_id_idempotency_key", _c.flow_id, _c.idempotency_key, unique=True, sqlite_where=_c.idempotency_key.is_not(None))
Index("ix_flow_run__parent_task_run_id", _c.parent_task_run_id, sqlite_where=_c.parent_task_run_id.is_not(None))
Index("ix_flow_run__deployment_id", _c.deployment_id, sqlite_where=_c.deployment_id.is_not(None))
Index("ix_flow_run__owner_id", _c.owner_id, sqlite_where=_c.end_time.is_(None))
Index(
    "ix_flow_run__work_queue_id_state_type",
    _c.work_queue_id,
    _c.state_type,
    _c.next_scheduled_start_time,
    sqlite_where=_c.work_queue_id.is_not(None),
)
Index("ix_flow_run__due", _c.next_scheduled_start_time, sqlite_where=_c.state_name == "Scheduled", postgresql_where=_c.state_name == "Scheduled")
