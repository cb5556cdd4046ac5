"""The task workers that are connected, at whichever server."""

from __future__ import annotations

from headrace.model import clock
from headrace.model.endpoints import task_workers as endpoints
from headrace.model.task_workers import FilterTaskWorkers, TaskWorkerResponse
from headrace.operations.runs.task_queue import WORKER_SECONDS_MAX
from headrace.operations.table import Operation
from headrace.store.codec import json_out
from headrace.store.database import Transaction


def filter_task_workers(tx: Transaction, body: FilterTaskWorkers) -> list[TaskWorkerResponse]:
    """Return the task workers that serve one of the asked keys, or all; several connections of one worker count as one."""
    wanted = body.task_worker_filter
    rows = tx.sql(
        "SELECT client_id, task_keys, seen FROM task_worker WHERE seen >= ? ORDER BY client_id, seen",
        (clock.now_us() - int(WORKER_SECONDS_MAX * 1_000_000),),
    )
    keys: dict[str, set[str]] = {}
    seen: dict[str, int] = {}
    for client_id, served, when in rows:
        keys.setdefault(client_id, set()).update(json_out(served))
        seen[client_id] = when
    return [
        TaskWorkerResponse(identifier=client_id, task_keys=sorted(served), timestamp=clock.from_us(seen[client_id]))
        for client_id, served in keys.items()
        if wanted is None or served.intersection(wanted.task_keys)
    ]


OPERATIONS = {endpoints.FILTER_TASK_WORKERS: Operation(filter_task_workers, writes=False)}
