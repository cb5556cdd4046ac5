"""Who is there: workers that fell silent, pools without workers, queues that nobody polls. Steps for the foreman.

A step does a bounded part of the work in the transaction given, may be repeated at any time, and returns how many it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from headrace.model import clock
from headrace.model.work_pools import WorkPoolStatus
from headrace.model.work_queues import WorkQueue, WorkQueueStatus
from headrace.operations.deployments import deployment_readiness
from headrace.operations.pools.pool_rows import pool_with_id, queue_with_id, set_pool_status, set_queue_status
from headrace.settings import get_current_settings
from headrace.store.database import Transaction
from headrace.store.translation import SKIP_LOCKED


def mark_polled(tx: Transaction, queues: Sequence[WorkQueue]) -> None:
    """Note that a worker asked for runs of these queues: they are ready, unless they are paused."""
    now = clock.now()
    now_us = clock.to_us(now)
    for queue in queues:
        tx.sql("UPDATE work_queue SET last_polled = ? WHERE id = ?", (now_us, queue.id.bytes))
        queue.last_polled = now
        if queue.status is WorkQueueStatus.NOT_READY:
            set_queue_status(tx, queue, WorkQueueStatus.READY)
    deployment_readiness.mark_queues_polled(tx, [queue.id.bytes for queue in queues])


def mark_workers_offline(tx: Transaction, now: datetime, limit: int) -> int:
    """Mark workers OFFLINE that missed as many heartbeats as the settings of the foreman allow."""
    settings = get_current_settings().server.services.foreman
    microseconds = settings.inactivity_heartbeat_multiple * 1_000_000
    rows = tx.sql(
        "SELECT id FROM worker WHERE status = 'ONLINE' AND last_heartbeat_time < ? - COALESCE(heartbeat_interval_seconds, ?) * ?"
        f" ORDER BY last_heartbeat_time LIMIT ? {SKIP_LOCKED}",
        (clock.to_us(now), settings.fallback_heartbeat_interval_seconds, microseconds, limit),
    )
    for row in rows:
        tx.sql("UPDATE worker SET status = 'OFFLINE' WHERE id = ?", row)
    return len(rows)


def mark_pools_not_ready(tx: Transaction, now: datetime, limit: int) -> int:
    """Mark pools NOT_READY that have no worker online, and tell of each."""
    rows = tx.sql(
        "SELECT id FROM work_pool WHERE status = 'READY'"
        " AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.work_pool_id = work_pool.id AND w.status = 'ONLINE')"
        f" ORDER BY id LIMIT ? {SKIP_LOCKED}",
        (limit,),
    )
    for (id,) in rows:
        set_pool_status(tx, pool_with_id(tx, UUID(bytes=id)), WorkPoolStatus.NOT_READY)
    return len(rows)


def mark_queues_not_ready(tx: Transaction, now: datetime, limit: int) -> int:
    """Mark queues NOT_READY that nobody has polled for as long as the settings of the foreman say, and tell of each."""
    seconds = get_current_settings().server.services.foreman.work_queue_last_polled_timeout_seconds
    rows = tx.sql(
        f"SELECT id FROM work_queue WHERE status = 'READY' AND (last_polled IS NULL OR last_polled < ?) ORDER BY id LIMIT ? {SKIP_LOCKED}",
        (clock.to_us(now) - seconds * 1_000_000, limit),
    )
    for (id,) in rows:
        set_queue_status(tx, queue_with_id(tx, UUID(bytes=id)), WorkQueueStatus.NOT_READY)
    return len(rows)
