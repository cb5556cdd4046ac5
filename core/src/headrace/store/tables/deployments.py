"""Deployments and their schedules."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text

from headrace.store.tables import concurrency, flows, metadata, work_pools
from headrace.store.types import Id, Json, Timestamp

deployment = Table(
    "deployment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("flow_id", Id, ForeignKey(flows.flow.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text),
    Column("description", Text),
    Column("paused", Boolean, nullable=False),
    Column("concurrency_limit_id", Id, ForeignKey(concurrency.concurrency_limit.c.id, ondelete="SET NULL")),
    Column("concurrency_options", Json),
    Column("job_variables", Json),  # NULL: none
    Column("parameters", Json),  # NULL: none
    Column("tags", Json),  # NULL: none
    Column("labels", Json),  # NULL: none
    Column("work_queue_id", Id, ForeignKey(work_pools.work_queue.c.id, ondelete="SET NULL")),
    Column("last_polled", Timestamp),
    Column("parameter_openapi_schema", Json),
    Column("path", Text),
    Column("pull_steps", Json),
    Column("entrypoint", Text),
    Column("storage_document_id", Id),
    Column("infrastructure_document_id", Id),
    Column("created_by", Json),
    Column("updated_by", Json),
    Column("status", Text, nullable=False),  # READY, NOT_READY
    Column("enforce_parameter_schema", Boolean, nullable=False),
)

_c = deployment.c
Index("uq_deployment__flow_id_name", _c.flow_id, _c.name, unique=True)
Index("ix_deployment__work_queue_id", _c.work_queue_id)
Index("ix_deployment__concurrency_limit_id", _c.concurrency_limit_id)
Index("ix_deployment__status_last_polled", _c.status, _c.last_polled)

deployment_schedule = Table(
    "deployment_schedule",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("deployment_id", Id, ForeignKey(deployment.c.id, ondelete="CASCADE"), nullable=False),
    Column("schedule", Json, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("max_scheduled_runs", Integer),
    Column("parameters", Json),  # NULL: none
    Column("slug", Text),
    Column("due", Timestamp),  # when the scheduler must look at it again; none: at once, since it changed
)

_c = deployment_schedule.c
Index("uq_deployment_schedule__deployment_id_slug", _c.deployment_id, _c.slug, unique=True)
Index("ix_deployment_schedule__active_due", _c.active, _c.due)
