"""Work pools: made, read, listed, changed, deleted; what takes their slots."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.endpoints import work_pools as endpoints
from headrace.model.errors import InvalidRequest
from headrace.model.work_pools import (
    CountWorkPools,
    FilterWorkPools,
    PoolConcurrencyStatusQuery,
    WorkPool,
    WorkPoolConcurrencyStatus,
    WorkPoolCreate,
    WorkPoolStatus,
    WorkPoolUpdate,
    WorkQueueConcurrencyStatusDetail,
)
from headrace.operations.events import emitting
from headrace.operations.limits.slot_holders import slot_holders
from headrace.operations.pages import page_limit, pages_of
from headrace.operations.pools import due, pool_rows
from headrace.operations.pools.job_templates import check_defaults
from headrace.operations.pools.pool_conditions import pool_where
from headrace.operations.pools.pool_rows import POOLS, SLOT_STATES, find_pool, pool_out
from headrace.operations.table import Operation
from headrace.store.codec import json_in
from headrace.store.database import Transaction

RESERVED = "prefect"
"""Pools whose names begin so, in whatever case, are not the user's."""
_FREE_IN_RESERVED = {"is_paused", "concurrency_limit"}


def create_work_pool(tx: Transaction, body: WorkPoolCreate) -> WorkPool:
    """Store a new pool with its default queue. Raises `ObjectAlreadyExists`, `InvalidRequest` for a reserved name or a wrong default."""
    if body.name.lower().startswith(RESERVED):
        raise InvalidRequest("Work pools starting with 'Prefect' are reserved for internal use.", status=403)
    check_defaults(tx, body.base_job_template)
    return pool_rows.insert_pool(tx, body)


def read_work_pool(tx: Transaction, *, name: str) -> WorkPool:
    """Return a pool. Raises `ObjectNotFound`."""
    return find_pool(tx, name)


def update_work_pool(tx: Transaction, body: WorkPoolUpdate, *, name: str) -> None:
    """Change what is given of a pool. Raises `ObjectNotFound`, `InvalidRequest` for a reserved pool or a wrong default."""
    given = body.model_fields_set
    if name.lower().startswith(RESERVED) and given - _FREE_IN_RESERVED:
        raise InvalidRequest(
            "Work pools starting with 'Prefect' are reserved for internal use and can only be updated to set concurrency limits or pause.", status=403
        )
    pool = find_pool(tx, name)
    changes: dict[str, Any] = {field: getattr(body, field) for field in ("description", "concurrency_limit") if field in given}
    if body.base_job_template is not None:
        check_defaults(tx, body.base_job_template)
        changes["base_job_template"] = body.base_job_template
    if body.storage_configuration is not None:
        changes["storage_configuration"] = body.storage_configuration.model_dump(mode="json")
    columns = {
        "updated": clock.now_us(),
        **{field: json_in(value) if isinstance(value, dict) else value for field, value in changes.items()},
    }
    if body.is_paused is not None:
        columns["is_paused"] = int(body.is_paused)
    tx.sql(f"UPDATE work_pool SET {', '.join(f'{field} = ?' for field in columns)} WHERE id = ?", (*columns.values(), pool.id.bytes))
    if body.is_paused is not None:
        _pause(tx, pool, body.is_paused)
    due.tell(tx, [pool.id])
    if tx.caller.is_server:
        payload = emitting.changes(pool.model_dump(mode="json"), changes)
        if payload["updates"]:
            emitting.emit(tx, "prefect.work-pool.updated", pool_rows.pool_labels(pool), [], payload)


def _pause(tx: Transaction, pool: WorkPool, is_paused: bool) -> None:
    if is_paused:
        pool_rows.set_pool_status(tx, pool, WorkPoolStatus.PAUSED)
    elif pool.status is WorkPoolStatus.PAUSED:
        online = tx.sql_one("SELECT 1 FROM worker WHERE work_pool_id = ? AND status = 'ONLINE' LIMIT 1", (pool.id.bytes,))
        pool_rows.set_pool_status(tx, pool, WorkPoolStatus.READY if online else WorkPoolStatus.NOT_READY)


def delete_work_pool(tx: Transaction, *, name: str) -> None:
    """Delete a pool with its queues and workers; its runs and deployments wait nowhere then. Raises `ObjectNotFound`, `InvalidRequest`."""
    if name.lower().startswith(RESERVED):
        raise InvalidRequest("Work pools starting with 'Prefect' are reserved for internal use and can not be deleted.", status=403)
    pool = find_pool(tx, name)
    pool_rows.forget_queues(tx, list(pool_rows.priorities_of(tx, pool.id)))
    tx.sql("DELETE FROM work_pool WHERE id = ?", (pool.id.bytes,))
    emitting.emit(tx, "prefect.work-pool.deleted", pool_rows.pool_labels(pool), pool_rows.pool_relations(pool), pool_rows.pool_payload(pool))


def _where(body: CountWorkPools) -> tuple[str, list[Any]]:
    if body.work_pools is None:
        return "TRUE", []
    found = pool_where(body.work_pools, "p")
    return found.joined(), found.values


def filter_work_pools(tx: Transaction, body: FilterWorkPools) -> list[WorkPool]:
    """List pools by name."""
    where, values = _where(body)
    rows = tx.sql(f"{POOLS} WHERE {where} ORDER BY p.name LIMIT ? OFFSET ?", (*values, page_limit(body.limit), body.offset))
    return [pool_out(row) for row in rows]


def count_work_pools(tx: Transaction, body: CountWorkPools) -> int:
    """Count pools."""
    where, values = _where(body)
    return tx.sql(f"SELECT COUNT(*) FROM work_pool p WHERE {where}", values)[0][0]


def work_pool_concurrency_status(tx: Transaction, body: PoolConcurrencyStatusQuery, *, name: str) -> WorkPoolConcurrencyStatus:
    """Return a page of a pool's queues by priority, with the runs that take their slots. Raises `ObjectNotFound`."""
    pool, limit = find_pool(tx, name), page_limit(body.limit)
    queues = tx.sql(
        "SELECT q.id, q.name, q.concurrency_limit,"
        f" (SELECT COUNT(*) FROM flow_run r WHERE r.work_queue_id = q.id AND r.state_type IN {SLOT_STATES})"
        " FROM work_queue q WHERE q.work_pool_id = ? ORDER BY q.priority, q.name",
        (pool.id.bytes,),
    )
    first = (body.page - 1) * limit
    return WorkPoolConcurrencyStatus(
        active_slots=sum(active for *_, active in queues),
        concurrency_limit=pool.concurrency_limit,
        queues=[
            WorkQueueConcurrencyStatusDetail(
                queue_id=UUID(bytes=id),
                queue_name=queue,
                active_slots=active,
                concurrency_limit=queue_limit,
                flow_runs=slot_holders(tx, id, body.flow_run_limit) if active else [],
                flow_run_count=active,
            )
            for id, queue, queue_limit, active in queues[first : first + limit]
        ],
        count=len(queues),
        limit=limit,
        pages=pages_of(len(queues), limit),
        page=body.page,
    )


OPERATIONS = {
    endpoints.CREATE_WORK_POOL: Operation(create_work_pool, writes=True),
    endpoints.READ_WORK_POOL: Operation(read_work_pool, writes=False),
    endpoints.UPDATE_WORK_POOL: Operation(update_work_pool, writes=True),
    endpoints.DELETE_WORK_POOL: Operation(delete_work_pool, writes=True),
    endpoints.FILTER_WORK_POOLS: Operation(filter_work_pools, writes=False),
    endpoints.COUNT_WORK_POOLS: Operation(count_work_pools, writes=False),
    endpoints.WORK_POOL_CONCURRENCY_STATUS: Operation(work_pool_concurrency_status, writes=False),
}
