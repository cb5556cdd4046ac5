"""Which runs a worker may start: those that are due, in the order of their queues, as many as pool and queues have room for.

Two workers that ask at once are told of the same runs; the one whose proposal of Pending is accepted has the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from headrace.model import clock
from headrace.model.endpoints import work_pools as pool_endpoints
from headrace.model.endpoints import work_queues as queue_endpoints
from headrace.model.flow_runs import FlowRun
from headrace.model.work_pools import GetScheduledFlowRuns, WorkerFlowRunResponse, WorkPool
from headrace.model.work_queues import QueueFilter, QueueRunsQuery, WorkQueue
from headrace.operations.conditions import Conditions, elements, field_of
from headrace.operations.pages import page_limit
from headrace.operations.pools import readiness
from headrace.operations.pools.pool_rows import QUEUES, SLOT_STATES, find_pool, pool_with_id, queue_out, queue_with_id
from headrace.operations.pools.work_queues import ensure_queue
from headrace.operations.runs.encoding import flow_run_out
from headrace.operations.table import Operation
from headrace.rules.holding import room
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

QUEUES_AT_ONCE_MAX = 400
"""How many queues one statement ranks: SQLite joins at most 500 parts."""
_FAR_PAST, _FAR_FUTURE = -(1 << 62), 1 << 62

_DUE = (
    "r.state_type = 'SCHEDULED' AND r.next_scheduled_start_time >= ? AND r.next_scheduled_start_time <= ?"
    f" AND COALESCE({field_of('r.empirical_policy', 'retry_type')}, '') <> 'in_process'"
)
"""Scheduled in a span of time, and waiting for no process that is still at it."""


def get_scheduled_flow_runs(tx: Transaction, body: GetScheduledFlowRuns, *, name: str) -> list[WorkerFlowRunResponse]:
    """Return runs that a worker may start, those of the first queue first; note that the queues were asked for.

    A named queue that does not exist is made. Raises `ObjectNotFound` for a pool that does not exist.
    """
    pool = find_pool(tx, name)
    if body.work_queue_names:
        queues = [queue for queue in (ensure_queue(tx, name, queue) for queue in dict.fromkeys(body.work_queue_names)) if queue is not None]
        queues.sort(key=lambda queue: queue.priority)
    else:
        queues = [queue_out(row) for row in tx.sql(f"{QUEUES} WHERE q.work_pool_id = ? ORDER BY q.priority", (pool.id.bytes,))]
    ranked = _ranked(tx, pool, queues, body.scheduled_after, body.scheduled_before, page_limit(body.limit))
    readiness.mark_polled(tx, queues)
    found = _read(tx, ranked)
    return [WorkerFlowRunResponse.model_construct(work_pool_id=pool.id, work_queue_id=_queue_of(run), flow_run=run) for run in found]


def _queue_of(run: FlowRun) -> UUID:
    assert run.work_queue_id is not None, "a run found by its queue has one"
    return run.work_queue_id


def _ranked(tx: Transaction, pool: WorkPool, queues: Sequence[WorkQueue], after: datetime | None, before: datetime | None, limit: int) -> list[bytes]:
    """Return the ids of runs to start in their order: by queue as given, then by time."""
    if pool.is_paused:
        return []
    limit = min(limit, room(pool.concurrency_limit, pool.active_slots or 0, limit))
    span = (_FAR_PAST if after is None else clock.to_us(after), _FAR_FUTURE if before is None else clock.to_us(before))
    asked = [(queue.id.bytes, min(limit, room(queue.concurrency_limit, queue.active_slots or 0, limit))) for queue in queues if not queue.is_paused]
    asked = [(queue, most) for queue, most in asked if most > 0]
    found: list[bytes] = []
    for first in range(0, len(asked), QUEUES_AT_ONCE_MAX):
        if len(found) >= limit:
            break
        part = asked[first : first + QUEUES_AT_ONCE_MAX]
        text = " UNION ALL ".join(
            f"SELECT * FROM (SELECT r.id AS id, r.next_scheduled_start_time AS due, {place} AS place FROM flow_run r"
            f" WHERE r.work_queue_id = ? AND {_DUE} ORDER BY r.next_scheduled_start_time, r.id LIMIT ?) q{place}"
            for place in range(len(part))
        )
        values = [value for queue, most in part for value in (queue, *span, most)]
        rows = tx.sql(f"SELECT id FROM ({text}) ranked ORDER BY place, due, id LIMIT ?", (*values, limit - len(found)))
        found += [row[0] for row in rows]
    return found


def _read(tx: Transaction, ids: Sequence[bytes]) -> list[FlowRun]:
    if not ids:
        return []
    now = clock.now_us()
    rows = tx.sql(f"{statements.SELECT_FLOW_RUNS} WHERE r.id IN ({', '.join('?' * len(ids))})", ids)
    by_id = {row[0]: row for row in rows}
    return [flow_run_out(by_id[id], now) for id in ids]


def read_work_queue_runs(tx: Transaction, body: QueueRunsQuery, *, id: UUID) -> list[FlowRun]:
    """Return runs of one queue that an agent may start; note that it was asked for, unless a page asks. Raises `ObjectNotFound`."""
    queue, limit = queue_with_id(tx, id), page_limit(body.limit)
    assert queue.work_pool_id is not None, "a stored queue belongs to a pool"
    if queue.filter is None:
        ranked = _ranked(tx, pool_with_id(tx, queue.work_pool_id), [queue], None, body.scheduled_before, limit)
    else:
        ranked = [] if queue.is_paused else _matching(tx, queue, queue.filter, body.scheduled_before, limit)
    if not tx.caller.is_page:
        readiness.mark_polled(tx, [queue])
    return _read(tx, ranked)


def _matching(tx: Transaction, queue: WorkQueue, wanted: QueueFilter, before: datetime | None, limit: int) -> list[bytes]:
    """Return the runs of a queue of the oldest kind: those that match its filter, wherever they wait."""
    own = Conditions()
    own.any_of("r.deployment_id", wanted.deployment_ids)
    for tag in wanted.tags or ():
        own.add(f"EXISTS (SELECT 1 FROM {elements('r.tags', 't')} WHERE t.value = ?)", tag)
    if queue.concurrency_limit is not None:
        active = tx.sql(f"SELECT COUNT(*) FROM flow_run r WHERE r.state_type IN {SLOT_STATES} AND {own.joined()}", own.values)[0][0]
        limit = min(limit, queue.concurrency_limit - active)
    rows = tx.sql(
        f"SELECT r.id FROM flow_run r WHERE {_DUE} AND {own.joined()} ORDER BY r.next_scheduled_start_time, r.id LIMIT ?",
        (_FAR_PAST, _FAR_FUTURE if before is None else clock.to_us(before), *own.values, max(limit, 0)),
    )
    return [row[0] for row in rows]


OPERATIONS = {
    pool_endpoints.GET_SCHEDULED_FLOW_RUNS: Operation(get_scheduled_flow_runs, writes=True),
    queue_endpoints.READ_WORK_QUEUE_RUNS: Operation(read_work_queue_runs, writes=True),
}
