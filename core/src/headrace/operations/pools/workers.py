"""Workers of a pool: their heartbeats, listed, deleted."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids
from headrace.model.endpoints import workers as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.work_pools import WorkPoolStatus
from headrace.model.workers import FilterWorkers, Worker, WorkerFilter, WorkerHeartbeat, WorkerStatus
from headrace.operations.conditions import Conditions
from headrace.operations.pages import page_limit
from headrace.operations.pools import pool_rows
from headrace.operations.pools.pool_rows import find_pool
from headrace.operations.table import Operation
from headrace.store.codec import time_out
from headrace.store.database import Row, Transaction


def worker_heartbeat(tx: Transaction, body: WorkerHeartbeat, *, work_pool_name: str) -> None:
    """Note that a worker lives; the first heartbeat makes it known, and the pool ready. Raises `ObjectNotFound`."""
    pool, now = find_pool(tx, work_pool_name), clock.now_us()
    tx.sql(
        "INSERT INTO worker (id, created, updated, work_pool_id, name, last_heartbeat_time, heartbeat_interval_seconds, status)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'ONLINE') ON CONFLICT (work_pool_id, name) DO UPDATE SET updated = excluded.updated,"
        " last_heartbeat_time = excluded.last_heartbeat_time, status = excluded.status,"
        " heartbeat_interval_seconds = COALESCE(excluded.heartbeat_interval_seconds, worker.heartbeat_interval_seconds)",
        (ids.new().bytes, now, now, pool.id.bytes, body.name, now, body.heartbeat_interval_seconds),
    )
    if pool.status is WorkPoolStatus.NOT_READY:
        pool_rows.set_pool_status(tx, pool, WorkPoolStatus.READY)


def _worker(row: Row) -> Worker:
    return Worker(
        id=UUID(bytes=row[0]),
        created=time_out(row[1]),
        updated=time_out(row[2]),
        name=row[3],
        work_pool_id=UUID(bytes=row[4]),
        last_heartbeat_time=time_out(row[5]),
        heartbeat_interval_seconds=row[6],
        status=WorkerStatus(row[7]),
    )


def _conditions(wanted: WorkerFilter) -> Conditions:
    found = Conditions()
    beat, status = wanted.last_heartbeat_time, wanted.status
    if beat is not None and beat.before_ is not None:
        found.add("last_heartbeat_time <= ?", clock.to_us(beat.before_))
    if beat is not None and beat.after_ is not None:
        found.add("last_heartbeat_time >= ?", clock.to_us(beat.after_))
    if status is not None:
        found.any_of("status", status.any_)
        found.any_of("status", status.not_any_, negated=True)
    return found


def filter_workers(tx: Transaction, body: FilterWorkers, *, work_pool_name: str) -> list[Worker]:
    """List workers of a pool, those heard of last first. Raises `ObjectNotFound`."""
    found = Conditions()
    found.add("work_pool_id = ?", find_pool(tx, work_pool_name).id.bytes)
    if body.workers is not None:
        inner = _conditions(body.workers)
        found.add(inner.joined(body.workers.operator), *inner.values)
    rows = tx.sql(
        "SELECT id, created, updated, name, work_pool_id, last_heartbeat_time, heartbeat_interval_seconds, status FROM worker"
        f" WHERE {found.joined()} ORDER BY last_heartbeat_time DESC, id LIMIT ? OFFSET ?",
        (*found.values, page_limit(body.limit), body.offset),
    )
    return [_worker(row) for row in rows]


def delete_worker(tx: Transaction, *, work_pool_name: str, name: str) -> None:
    """Forget a worker. Raises `ObjectNotFound`."""
    if not tx.sql_count("DELETE FROM worker WHERE work_pool_id = ? AND name = ?", (find_pool(tx, work_pool_name).id.bytes, name)):
        raise ObjectNotFound("Worker not found.")


OPERATIONS = {
    endpoints.WORKER_HEARTBEAT: Operation(worker_heartbeat, writes=True),
    endpoints.FILTER_WORKERS: Operation(filter_workers, writes=False),
    endpoints.DELETE_WORKER: Operation(delete_worker, writes=True),
}
