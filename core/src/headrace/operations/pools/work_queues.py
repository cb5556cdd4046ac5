"""Work queues: made, read, listed, changed, deleted; how they are doing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.endpoints import work_queues as endpoints
from headrace.model.errors import ObjectAlreadyExists, ObjectNotFound
from headrace.model.work_pools import AGENT_POOL, DEFAULT_QUEUE
from headrace.model.work_queues import (
    ConcurrencyStatusQuery,
    FilterWorkQueues,
    WorkQueue,
    WorkQueueConcurrencyStatus,
    WorkQueueCreate,
    WorkQueueHealthPolicy,
    WorkQueueStatus,
    WorkQueueStatusDetail,
    WorkQueueUpdate,
)
from headrace.operations.conditions import Conditions
from headrace.operations.events import emitting
from headrace.operations.limits.slot_holders import slot_holders
from headrace.operations.pages import page_limit, pages_of
from headrace.operations.pools import due, pool_rows
from headrace.operations.pools.pool_conditions import queue_where
from headrace.operations.pools.pool_rows import QUEUES, SLOT_STATES, find_pool, find_queue, queue_out, queue_with_id
from headrace.operations.table import Operation
from headrace.rules import priorities
from headrace.store.codec import json_in, time_in
from headrace.store.database import Transaction


def ensure_queue(tx: Transaction, pool_name: str | None, queue_name: str | None) -> WorkQueue | None:
    """Return the queue that deployments and runs mean by these names, None when they name none.

    A pool's queue is made when it is missing, and is the pool's default queue when only the pool is named. A queue without a pool is one of
    the pool `default-agent-pool`; both are made when they are missing. Raises `ObjectNotFound` for a pool that does not exist.
    """
    if pool_name is None and queue_name is None:
        return None
    pool = pool_rows.agent_pool(tx) if pool_name is None else find_pool(tx, pool_name)
    if queue_name is None and pool.default_queue_id is not None:
        return queue_with_id(tx, pool.default_queue_id)
    name = queue_name or DEFAULT_QUEUE
    row = tx.sql_one(f"{QUEUES} WHERE q.work_pool_id = ? AND q.name = ?", (pool.id.bytes, name))
    return pool_rows.insert_queue(tx, pool, WorkQueueCreate(name=name)) if row is None else queue_out(row)


def create_pool_queue(tx: Transaction, body: WorkQueueCreate, *, work_pool_name: str) -> WorkQueue:
    """Store a new queue of a pool. Raises `ObjectNotFound`, `ObjectAlreadyExists`."""
    return pool_rows.insert_queue(tx, find_pool(tx, work_pool_name), body)


def create_work_queue(tx: Transaction, body: WorkQueueCreate) -> WorkQueue:
    """Store a new queue that belongs to no pool in particular. Raises `ObjectAlreadyExists`."""
    return pool_rows.insert_queue(tx, pool_rows.agent_pool(tx), body)


def read_pool_queue(tx: Transaction, *, work_pool_name: str, name: str) -> WorkQueue:
    """Return a queue of a pool. Raises `ObjectNotFound`."""
    return find_queue(tx, work_pool_name, name)


def read_work_queue(tx: Transaction, *, id: UUID) -> WorkQueue:
    """Return a queue. Raises `ObjectNotFound`."""
    return queue_with_id(tx, id)


def read_work_queue_by_name(tx: Transaction, *, name: str) -> WorkQueue:
    """Return the queue of that name that belongs to no pool in particular. Raises `ObjectNotFound`."""
    try:
        return find_queue(tx, AGENT_POOL, name)
    except ObjectNotFound as error:
        raise ObjectNotFound(f"Work queue {name!r} not found.") from error


def update_pool_queue(tx: Transaction, body: WorkQueueUpdate, *, work_pool_name: str, name: str) -> None:
    """Change what is given of a queue. Raises `ObjectNotFound`, `ObjectAlreadyExists` for a name that is taken."""
    _update(tx, find_queue(tx, work_pool_name, name), body)


def update_work_queue(tx: Transaction, body: WorkQueueUpdate, *, id: UUID) -> None:
    """Change what is given of a queue; see `update_pool_queue`."""
    _update(tx, queue_with_id(tx, id), body)


def _update(tx: Transaction, queue: WorkQueue, body: WorkQueueUpdate) -> None:
    assert queue.work_pool_id is not None, "a stored queue belongs to a pool"
    given = body.model_fields_set
    changes: dict[str, Any] = {field: getattr(body, field) for field in ("description", "concurrency_limit") if field in given}
    if body.name is not None:
        changes["name"] = body.name
        if body.name != queue.name and tx.sql_one(
            "SELECT 1 FROM work_queue WHERE work_pool_id = ? AND name = ?", (queue.work_pool_id.bytes, body.name)
        ):
            raise ObjectAlreadyExists(f"A work queue with the name {body.name!r} already exists in work pool {queue.work_pool_name!r}.")
    told = dict(changes)
    if body.priority is not None:
        told["priority"] = body.priority
        pool_rows.set_priorities(tx, priorities.placed(pool_rows.priorities_of(tx, queue.work_pool_id), queue.id.bytes, body.priority))
    if "is_paused" in given:
        changes["is_paused"] = int(body.is_paused)
    if "last_polled" in given:
        changes["last_polled"] = time_in(body.last_polled)
    if "filter" in given:
        changes["filter"] = json_in(body.filter.model_dump(mode="json")) if body.filter else None
    changes["updated"] = clock.now_us()
    tx.sql(f"UPDATE work_queue SET {', '.join(f'{field} = ?' for field in changes)} WHERE id = ?", (*changes.values(), queue.id.bytes))
    if "is_paused" in given:
        _pause(tx, queue, body.is_paused)
    due.tell(tx, [queue.work_pool_id])
    if tx.caller.is_server:
        payload = emitting.changes(queue.model_dump(mode="json"), told)
        if payload["updates"]:
            pool = pool_rows.pool_with_id(tx, queue.work_pool_id)
            emitting.emit(tx, "prefect.work-queue.updated", pool_rows.queue_labels(queue), [pool_rows.pool_relation(pool)], payload)


def _pause(tx: Transaction, queue: WorkQueue, is_paused: bool) -> None:
    if is_paused:
        pool_rows.set_queue_status(tx, queue, WorkQueueStatus.PAUSED)
    elif queue.status is WorkQueueStatus.PAUSED:
        recent = WorkQueueHealthPolicy(maximum_late_runs=None).evaluate_health_status(0, queue.last_polled)
        pool_rows.set_queue_status(tx, queue, WorkQueueStatus.READY if recent else WorkQueueStatus.NOT_READY)


def delete_pool_queue(tx: Transaction, *, work_pool_name: str, name: str) -> None:
    """Delete a queue; its runs and deployments wait nowhere then. Raises `ObjectNotFound`, `InvalidRequest` for a default queue."""
    pool_rows.delete_queue(tx, find_queue(tx, work_pool_name, name))


def delete_work_queue(tx: Transaction, *, id: UUID) -> None:
    """Delete a queue; see `delete_pool_queue`."""
    pool_rows.delete_queue(tx, queue_with_id(tx, id))


def _list(tx: Transaction, body: FilterWorkQueues, pool_id: UUID | None) -> list[WorkQueue]:
    found = Conditions()
    if pool_id is not None:
        found.add("q.work_pool_id = ?", pool_id.bytes)
    if body.work_queues:
        inner = queue_where(body.work_queues, "q")
        found.add(inner.joined(), *inner.values)
    order = "q.priority, q.name" if pool_id is not None else "q.name, q.id"
    rows = tx.sql(f"{QUEUES} WHERE {found.joined()} ORDER BY {order} LIMIT ? OFFSET ?", (*found.values, page_limit(body.limit), body.offset))
    return [queue_out(row) for row in rows]


def filter_pool_queues(tx: Transaction, body: FilterWorkQueues, *, work_pool_name: str) -> list[WorkQueue]:
    """List queues of a pool by priority. Raises `ObjectNotFound`."""
    return _list(tx, body, find_pool(tx, work_pool_name).id)


def filter_work_queues(tx: Transaction, body: FilterWorkQueues) -> list[WorkQueue]:
    """List queues of all pools by name."""
    return _list(tx, body, None)


def work_queue_status(tx: Transaction, *, id: UUID) -> WorkQueueStatusDetail:
    """Say how a queue is doing: how many of its runs are late, and whether somebody polls it. Raises `ObjectNotFound`."""
    queue = queue_with_id(tx, id)
    late = tx.sql("SELECT COUNT(*) FROM flow_run WHERE work_queue_id = ? AND state_type = 'SCHEDULED' AND state_name = 'Late'", (id.bytes,))
    policy = WorkQueueHealthPolicy()
    return WorkQueueStatusDetail(
        healthy=policy.evaluate_health_status(late[0][0], queue.last_polled),
        late_runs_count=late[0][0],
        last_polled=queue.last_polled,
        health_check_policy=policy,
    )


def work_queue_concurrency_status(tx: Transaction, body: ConcurrencyStatusQuery, *, id: UUID) -> WorkQueueConcurrencyStatus:
    """Return a page of the runs that take slots of a queue, the longest-held first. Raises `ObjectNotFound`."""
    queue, limit = queue_with_id(tx, id), page_limit(body.limit)
    active = tx.sql(f"SELECT COUNT(*) FROM flow_run WHERE work_queue_id = ? AND state_type IN {SLOT_STATES}", (id.bytes,))[0][0]
    return WorkQueueConcurrencyStatus(
        active_slots=active,
        concurrency_limit=queue.concurrency_limit,
        flow_runs=slot_holders(tx, id.bytes, limit, (body.page - 1) * limit),
        count=active,
        limit=limit,
        pages=pages_of(active, limit),
        page=body.page,
    )


OPERATIONS = {
    endpoints.CREATE_POOL_QUEUE: Operation(create_pool_queue, writes=True),
    endpoints.READ_POOL_QUEUE: Operation(read_pool_queue, writes=False),
    endpoints.UPDATE_POOL_QUEUE: Operation(update_pool_queue, writes=True),
    endpoints.DELETE_POOL_QUEUE: Operation(delete_pool_queue, writes=True),
    endpoints.FILTER_POOL_QUEUES: Operation(filter_pool_queues, writes=False),
    endpoints.CREATE_WORK_QUEUE: Operation(create_work_queue, writes=True),
    endpoints.READ_WORK_QUEUE: Operation(read_work_queue, writes=False),
    endpoints.READ_WORK_QUEUE_BY_NAME: Operation(read_work_queue_by_name, writes=False),
    endpoints.UPDATE_WORK_QUEUE: Operation(update_work_queue, writes=True),
    endpoints.DELETE_WORK_QUEUE: Operation(delete_work_queue, writes=True),
    endpoints.FILTER_WORK_QUEUES: Operation(filter_work_queues, writes=False),
    endpoints.WORK_QUEUE_STATUS: Operation(work_queue_status, writes=False),
    endpoints.WORK_QUEUE_CONCURRENCY_STATUS: Operation(work_queue_concurrency_status, writes=False),
}
