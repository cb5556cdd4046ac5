"""Work pools, their queues, and the workers that serve them.

A queue always belongs to a pool. What a pool or queue has room for is counted from its runs, never kept.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

work_pool = Table(
    "work_pool",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("type", Text, nullable=False),
    Column("base_job_template", Json, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("concurrency_limit", Integer),  # runs pending or running at once; none: any number
    Column("status", Text, nullable=False),  # READY, NOT_READY, PAUSED
    Column("status_event_id", Id),  # the event that told of the present status: the next one follows it
    Column("status_event_occurred", Timestamp),
    Column("default_queue_id", Id),
    Column("storage_configuration", Json, nullable=False),
)

Index("uq_work_pool__name", work_pool.c.name, unique=True)

work_queue = Table(
    "work_queue",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("work_pool_id", Id, ForeignKey(work_pool.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("is_paused", Boolean, nullable=False),
    Column("concurrency_limit", Integer),
    Column("priority", Integer, nullable=False),  # 1 comes first; unique in its pool once a transaction ends
    Column("filter", Json),  # of an older kind of queue: which runs are its own
    Column("last_polled", Timestamp),
    Column("status", Text, nullable=False),
    Column("status_event_id", Id),
    Column("status_event_occurred", Timestamp),
)

Index("uq_work_queue__work_pool_id_name", work_queue.c.work_pool_id, work_queue.c.name, unique=True)
Index("ix_work_queue__status_last_polled", work_queue.c.status, work_queue.c.last_polled)

worker = Table(
    "worker",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("work_pool_id", Id, ForeignKey(work_pool.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("last_heartbeat_time", Timestamp, nullable=False),
    Column("heartbeat_interval_seconds", Integer),
    Column("status", Text, nullable=False),  # ONLINE, OFFLINE
)

Index("uq_worker__work_pool_id_name", worker.c.work_pool_id, worker.c.name, unique=True)
Index("ix_worker__status_last_heartbeat_time", worker.c.status, worker.c.last_heartbeat_time)
