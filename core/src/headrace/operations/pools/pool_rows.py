"""Work pools and queues as they are stored: found, inserted, given a priority, given a status. The routes: `work_pools.py`, `work_queues.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.errors import InvalidRequest, ObjectAlreadyExists, ObjectNotFound
from headrace.model.work_pools import (
    AGENT_POOL,
    AGENT_POOL_TYPE,
    DEFAULT_QUEUE,
    WorkPool,
    WorkPoolCreate,
    WorkPoolStatus,
    WorkPoolStorageConfiguration,
)
from headrace.model.work_queues import QueueFilter, WorkQueue, WorkQueueCreate, WorkQueueStatus
from headrace.operations.events import emitting
from headrace.operations.runs.encoding import build
from headrace.rules import priorities
from headrace.store.codec import id_in, id_out, json_in, json_out, time_out
from headrace.store.database import Row, Transaction

SLOT_STATES = "('PENDING', 'RUNNING')"
"""The types of state in which a run takes a slot."""
FOLLOWS_WITHIN_US = 300_000_000
"""An event of a status follows the one before it when no more time lies between them."""

POOLS = (
    "SELECT p.id, p.created, p.updated, p.name, p.description, p.type, p.base_job_template, p.is_paused, p.concurrency_limit, p.status,"
    " p.default_queue_id, p.storage_configuration, CASE WHEN p.concurrency_limit IS NULL THEN NULL ELSE"
    " (SELECT COUNT(*) FROM work_queue q JOIN flow_run r ON r.work_queue_id = q.id"
    f" WHERE q.work_pool_id = p.id AND r.state_type IN {SLOT_STATES}) END FROM work_pool p"
)
QUEUES = (
    "SELECT q.id, q.created, q.updated, q.name, q.description, q.is_paused, q.concurrency_limit, q.priority, q.work_pool_id, q.filter,"
    " q.last_polled, p.name, q.status, CASE WHEN q.concurrency_limit IS NULL THEN NULL ELSE"
    f" (SELECT COUNT(*) FROM flow_run r WHERE r.work_queue_id = q.id AND r.state_type IN {SLOT_STATES}) END"
    " FROM work_queue q JOIN work_pool p ON p.id = q.work_pool_id"
)


def pool_out(row: Row) -> WorkPool:
    """Read a row of `POOLS`."""
    return build(
        WorkPool,
        {
            "id": UUID(bytes=row[0]),
            "created": time_out(row[1]),
            "updated": time_out(row[2]),
            "name": row[3],
            "description": row[4],
            "type": row[5],
            "base_job_template": json_out(row[6]),
            "is_paused": bool(row[7]),
            "concurrency_limit": row[8],
            "status": WorkPoolStatus(row[9]),
            "default_queue_id": id_out(row[10]),
            "storage_configuration": WorkPoolStorageConfiguration.model_validate_json(row[11]),
            "active_slots": row[12],
        },
    )


def queue_out(row: Row) -> WorkQueue:
    """Read a row of `QUEUES`."""
    return build(
        WorkQueue,
        {
            "id": UUID(bytes=row[0]),
            "created": time_out(row[1]),
            "updated": time_out(row[2]),
            "name": row[3],
            "description": row[4],
            "is_paused": bool(row[5]),
            "concurrency_limit": row[6],
            "priority": row[7],
            "work_pool_id": UUID(bytes=row[8]),
            "filter": QueueFilter.model_validate_json(row[9]) if row[9] else None,
            "last_polled": time_out(row[10]),
            "work_pool_name": row[11],
            "status": WorkQueueStatus(row[12]),
            "active_slots": row[13],
        },
    )


# --- finding ----------------------------------------------------------------------------------------------------------


def find_pool(tx: Transaction, name: str) -> WorkPool:
    """Return the pool of that name. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{POOLS} WHERE p.name = ?", (name,))
    if row is None:
        raise ObjectNotFound(f'Work pool "{name}" not found.')
    return pool_out(row)


def pool_with_id(tx: Transaction, id: UUID) -> WorkPool:
    """Return the pool of that id. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{POOLS} WHERE p.id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound("Work pool not found.")
    return pool_out(row)


def find_queue(tx: Transaction, pool_name: str, name: str) -> WorkQueue:
    """Return a queue by the names of its pool and its own. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{QUEUES} WHERE p.name = ? AND q.name = ?", (pool_name, name))
    if row is None:
        find_pool(tx, pool_name)
        raise ObjectNotFound(f"Work pool queue '{pool_name}/{name}' not found.")
    return queue_out(row)


def queue_with_id(tx: Transaction, id: UUID) -> WorkQueue:
    """Return the queue of that id. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{QUEUES} WHERE q.id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound("Work Queue not found.")
    return queue_out(row)


def pool_of_deployment(tx: Transaction, deployment: bytes) -> tuple[WorkPool, dict[str, Any]] | None:
    """Return the pool that a deployment's runs wait in and the deployment's job variables, None when they wait in none."""
    row = tx.sql_one(
        "SELECT q.work_pool_id, d.job_variables FROM deployment d JOIN work_queue q ON q.id = d.work_queue_id WHERE d.id = ?", (deployment,)
    )
    return None if row is None else (pool_with_id(tx, UUID(bytes=row[0])), json_out(row[1]) or {})


# --- inserting --------------------------------------------------------------------------------------------------------


def insert_pool(tx: Transaction, body: WorkPoolCreate) -> WorkPool:
    """Store a new pool with its default queue. Raises `ObjectAlreadyExists`."""
    if tx.sql_one("SELECT 1 FROM work_pool WHERE name = ?", (body.name,)) is not None:
        raise ObjectAlreadyExists("A work pool with this name already exists.")
    pool_id, now = ids.new(), clock.now_us()
    status = WorkPoolStatus.PAUSED if body.is_paused else WorkPoolStatus.NOT_READY
    tx.sql(
        "INSERT INTO work_pool (id, created, updated, name, description, type, base_job_template, is_paused, concurrency_limit, status,"
        " storage_configuration) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            pool_id.bytes,
            now,
            now,
            body.name,
            body.description,
            body.type,
            json_in(body.base_job_template),
            int(body.is_paused),
            body.concurrency_limit,
            status.value,
            json_in(body.storage_configuration.model_dump(mode="json")),
        ),
    )
    pool = pool_with_id(tx, pool_id)
    queue = insert_queue(tx, pool, WorkQueueCreate(name=DEFAULT_QUEUE, description="The work pool's default queue."))
    tx.sql("UPDATE work_pool SET default_queue_id = ? WHERE id = ?", (queue.id.bytes, pool_id.bytes))
    pool.default_queue_id = queue.id
    emitting.emit(tx, "prefect.work-pool.created", pool_labels(pool), pool_relations(pool), pool_payload(pool))
    return pool


def agent_pool(tx: Transaction) -> WorkPool:
    """Return the pool of queues that were made without one; make it if need be."""
    row = tx.sql_one(f"{POOLS} WHERE p.name = ?", (AGENT_POOL,))
    return insert_pool(tx, WorkPoolCreate(name=AGENT_POOL, type=AGENT_POOL_TYPE)) if row is None else pool_out(row)


def insert_queue(tx: Transaction, pool: WorkPool, body: WorkQueueCreate) -> WorkQueue:
    """Store a new queue of a pool; queues that stand in the way of its priority move back. Raises `ObjectAlreadyExists`."""
    if tx.sql_one("SELECT 1 FROM work_queue WHERE work_pool_id = ? AND name = ?", (pool.id.bytes, body.name)) is not None:
        raise ObjectAlreadyExists(f"A work queue with the name {body.name!r} already exists in work pool {pool.name!r}.")
    queue_id, now = ids.new(), clock.now_us()
    taken = priorities_of(tx, pool.id)
    priority = body.priority or priorities.first_free(taken)
    set_priorities(tx, {key: value for key, value in priorities.placed(taken, queue_id.bytes, priority).items() if key != queue_id.bytes})
    tx.sql(
        "INSERT INTO work_queue (id, created, updated, work_pool_id, name, description, is_paused, concurrency_limit, priority, filter, status)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            queue_id.bytes,
            now,
            now,
            pool.id.bytes,
            body.name,
            body.description,
            int(body.is_paused),
            body.concurrency_limit,
            priority,
            json_in(body.filter.model_dump(mode="json")) if body.filter else None,
            (WorkQueueStatus.PAUSED if body.is_paused else WorkQueueStatus.NOT_READY).value,
        ),
    )
    queue = queue_with_id(tx, queue_id)
    if tx.caller.is_server:
        emitting.emit(tx, "prefect.work-queue.created", queue_labels(queue), [pool_relation(pool)], queue_payload(queue))
    return queue


def delete_queue(tx: Transaction, queue: WorkQueue) -> None:
    """Delete a queue, free its runs of it and close the gap in the priorities. Raises `InvalidRequest` for a pool's default queue."""
    assert queue.work_pool_id is not None, "a stored queue belongs to a pool"
    pool = pool_with_id(tx, queue.work_pool_id)
    if pool.default_queue_id == queue.id:
        raise InvalidRequest(
            f"The queue {queue.name!r} is the default queue of work pool {pool.name!r}, which cannot do without it. Pause it, or delete the pool.",
            status=409,
        )
    forget_queues(tx, [queue.id.bytes])
    tx.sql("DELETE FROM work_queue WHERE id = ?", (queue.id.bytes,))
    set_priorities(tx, priorities.closed_up(priorities_of(tx, pool.id)))
    if tx.caller.is_server:
        emitting.emit(tx, "prefect.work-queue.deleted", queue_labels(queue), [pool_relation(pool)], queue_payload(queue))


def forget_queues(tx: Transaction, queues: Sequence[bytes]) -> None:
    """Free runs and deployments of queues that are about to be deleted."""
    for queue in queues:
        tx.sql("UPDATE flow_run SET work_queue_id = NULL, work_pool_id = NULL, work_pool_name = NULL WHERE work_queue_id = ?", (queue,))


def priorities_of(tx: Transaction, pool_id: UUID) -> dict[bytes, int]:
    """Return the priorities of a pool's queues by id, which nobody else changes until the transaction ends."""
    tx.lock("work_pool", "id", [pool_id.bytes])
    return {row[0]: row[1] for row in tx.sql("SELECT id, priority FROM work_queue WHERE work_pool_id = ?", (pool_id.bytes,))}


def set_priorities(tx: Transaction, wanted: Mapping[bytes, int]) -> None:
    """Write new priorities."""
    tx.sql_many("UPDATE work_queue SET priority = ? WHERE id = ?", [(priority, queue) for queue, priority in wanted.items()])


# --- statuses and events ----------------------------------------------------------------------------------------------


def set_pool_status(tx: Transaction, pool: WorkPool, status: WorkPoolStatus) -> None:
    """Write a pool's status and tell of it. Nothing happens when it has that status."""
    if pool.status is not status:
        _set_status(tx, "work_pool", pool.id, status, pool_labels(pool), [])
        pool.status = status


def set_queue_status(tx: Transaction, queue: WorkQueue, status: WorkQueueStatus) -> None:
    """Write a queue's status and tell of it. Nothing happens when it has that status."""
    if queue.status is not status:
        assert queue.work_pool_id is not None, "a stored queue belongs to a pool"
        related = [pool_relation(pool_with_id(tx, queue.work_pool_id))] if tx.caller.is_server else []
        _set_status(tx, "work_queue", queue.id, status, queue_labels(queue), related)
        queue.status = status


def _set_status(
    tx: Transaction, table: str, id: UUID, status: WorkPoolStatus | WorkQueueStatus, labels: emitting.Labels, related: Sequence[emitting.Labels]
) -> None:
    now = clock.now()
    now_us = clock.to_us(now)
    event = None
    if tx.caller.is_server:
        before = tx.sql_one(f"SELECT status_event_id, status_event_occurred FROM {table} WHERE id = ?", (id.bytes,))
        follows = UUID(bytes=before[0]) if before and before[0] and now_us - before[1] <= FOLLOWS_WITHIN_US else None
        kind = table.replace("_", "-")
        event = emitting.emit(tx, f"prefect.{kind}.{status.lower().replace('_', '-')}", labels, related, occurred=now, follows=follows)
    tx.sql(
        f"UPDATE {table} SET status = ?, status_event_id = ?, status_event_occurred = ?, updated = ? WHERE id = ?",
        (status.value, id_in(event), now_us, now_us, id.bytes),
    )


def pool_labels(pool: WorkPool) -> dict[str, str]:
    """Return the labels of a pool as the resource of an event."""
    return emitting.resource("work-pool", pool.id, pool.name, **{"work-pool.type": pool.type})


def pool_relation(pool: WorkPool) -> dict[str, str]:
    """Return the labels of a pool as what an event on one of its queues is about too."""
    return {**emitting.related_resource("work-pool", "work-pool", pool.id, pool.name), "prefect.work-pool.type": pool.type}


def pool_relations(pool: WorkPool) -> list[emitting.Labels]:
    """Return the labels of what belongs to a pool: its default queue, the block of its results."""
    found: list[emitting.Labels] = []
    if pool.default_queue_id is not None:
        found.append(emitting.related_resource("default-queue", "work-queue", pool.default_queue_id, DEFAULT_QUEUE))
    storage = pool.storage_configuration.default_result_storage_block_id
    if storage is not None:
        found.append(emitting.related_resource("result-storage", "block-document", storage))
    return found


def pool_payload(pool: WorkPool) -> dict[str, Any]:
    """Return what the events of a pool's making and end tell of it."""
    return pool.model_dump(mode="json", include={"description", "base_job_template", "is_paused", "concurrency_limit", "storage_configuration"})


def queue_labels(queue: WorkQueue) -> dict[str, str]:
    """Return the labels of a queue as the resource of an event."""
    return emitting.resource("work-queue", queue.id, queue.name)


def queue_payload(queue: WorkQueue) -> dict[str, Any]:
    """Return what the events of a queue's making and end tell of it."""
    return queue.model_dump(mode="json", include={"description", "is_paused", "concurrency_limit", "priority"})
