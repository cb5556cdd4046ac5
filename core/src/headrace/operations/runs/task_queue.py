"""Background task runs on their way to a task worker, and the workers themselves. The database is the queue, so every server sees one.

A queued run is handed out under a claim of limited length. Confirmed, it leaves the queue; given back, or when the claim runs out, it is
handed out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from headrace.model import clock
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.task_runs import TaskRun
from headrace.operations.runs import transitions
from headrace.operations.runs.encoding import details_out
from headrace.operations.runs.task_encoding import task_run_out
from headrace.store.codec import json_in, microseconds
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

CLAIM_SECONDS = 60.0
"""How long a run is left to a worker that neither confirms it nor goes away; it outlasts the server that handed it out."""
TRIES_MAX = 20
"""How often a claim is tried while other servers are faster."""
WORKER_SECONDS_MAX = 90.0
"""How long a task worker is listed after its server last told of it."""


def enqueue(tx: Transaction, task_run_id: UUID, task_key: str, scheduled: int) -> None:
    """Queue a run, to be handed out from `scheduled` (microseconds) on; tell the servers."""
    tx.sql(
        "INSERT INTO task_queue (task_run_id, task_key, scheduled, available, claim_id) VALUES (?, ?, ?, ?, NULL)"
        " ON CONFLICT (task_run_id) DO UPDATE SET scheduled = excluded.scheduled, available = excluded.available, claim_id = NULL",
        (task_run_id.bytes, task_key, scheduled, scheduled),
    )
    tx.publish("task_runs", [task_key])


@dataclass(slots=True)
class Want:
    """A worker's connection that is free for one run of `task_keys`."""

    connection: UUID
    task_keys: tuple[str, ...]


@dataclass(slots=True)
class Handover:
    """What workers told since the last time, and what they want next."""

    confirmed: list[UUID] = field(default_factory=list[UUID])
    released: list[UUID] = field(default_factory=list[UUID])
    """Connections that are gone."""
    wants: list[Want] = field(default_factory=list[Want])


def hand_over(tx: Transaction, given: Handover) -> tuple[list[TaskRun | None], int | None]:
    """Settle what is confirmed and released, then find a run for each wanting connection.

    Returns the runs in the order of the wants, and the microseconds since 1970 at which the next one for any of them falls due.
    """
    now = clock.now_us()
    tx.sql_many("DELETE FROM task_queue WHERE task_run_id = ? AND claim_id IS NOT NULL", [(id.bytes,) for id in given.confirmed])
    for connection in given.released:
        freed = tx.sql("UPDATE task_queue SET available = scheduled, claim_id = NULL WHERE claim_id = ? RETURNING task_key", (connection.bytes,))
        if freed:
            tx.publish("task_runs", [key for (key,) in freed])
        tx.sql("DELETE FROM task_worker WHERE id = ?", (connection.bytes,))
    found = [_claim(tx, want, now) for want in given.wants]
    waiting = {key for want, run in zip(given.wants, found, strict=True) if run is None for key in want.task_keys}
    return found, next_due(tx, sorted(waiting))


def _claim(tx: Transaction, want: Want, now: int) -> TaskRun | None:
    for _ in range(TRIES_MAX):
        offers = [offer for key in want.task_keys if (offer := _first(tx, key)) is not None and offer[0] <= now]
        if not offers:
            return None
        id = min(offers)[1]
        until = now + int(CLAIM_SECONDS * 1_000_000)
        if not tx.sql_count(
            "UPDATE task_queue SET available = ?, claim_id = ? WHERE task_run_id = ? AND available <= ?", (until, want.connection.bytes, id, now)
        ):
            continue  # another server was faster
        run = tx.sql_one(statements.SELECT_TASK_RUN, (id,))
        if run is not None:
            out = task_run_out(run, now)
            if out.state_type is StateType.SCHEDULED:
                return out
        tx.sql("DELETE FROM task_queue WHERE task_run_id = ?", (id,))  # deleted or cancelled while it waited
    return None


def _first(tx: Transaction, task_key: str) -> tuple[int, bytes] | None:
    row = tx.sql_one("SELECT available, task_run_id FROM task_queue WHERE task_key = ? ORDER BY available, task_run_id LIMIT 1", (task_key,))
    return None if row is None else (row[0], row[1])


def next_due(tx: Transaction, task_keys: Sequence[str]) -> int | None:
    """Return the microseconds since 1970 at which the next run of these keys may be handed out; None: none is queued."""
    due = [offer[0] for key in task_keys if (offer := _first(tx, key)) is not None]
    return min(due, default=None)


def take_back_pending(tx: Transaction, now: datetime, timeout: timedelta, limit: int) -> int:
    """Queue background runs again that are PENDING for longer than `timeout`: their worker is gone. Return how many, at most `limit`."""
    stuck = tx.sql(
        "SELECT id FROM task_run WHERE end_time IS NULL AND state_type = 'PENDING' AND state_timestamp < ? ORDER BY state_timestamp LIMIT ?",
        (microseconds(now - timeout), limit),
    )
    count = 0
    for (id,) in stuck:
        tx.lock("task_run", "id", [id])
        scheduled = tx.sql_one(
            "SELECT s.details FROM task_run r JOIN task_run_state s ON s.task_run_id = r.id"
            " WHERE r.id = ? AND r.state_type = 'PENDING' AND s.type = 'SCHEDULED' ORDER BY s.timestamp DESC, s.id DESC LIMIT 1",
            (id,),
        )
        before = details_out(scheduled[0], None, None) if scheduled is not None else None
        if before is None or not before.deferred:
            continue
        details = StateDetails(deferred=True, scheduled_time=now, task_parameters_id=before.task_parameters_id)
        message = f"The task worker that took this run did not begin it within {timeout.total_seconds():g} seconds."
        state = StateCreate(type=StateType.SCHEDULED, name="Scheduled", message=message, state_details=details)
        transitions.set_task_run_state(tx, UUID(bytes=id), SetState(state=state, force=True))
        count += 1
    return count


def see_workers(tx: Transaction, workers: Sequence[tuple[UUID, str, Sequence[str]]]) -> None:
    """Note that these workers (connection, client id, task keys) are connected now; forget those that nobody told of for long."""
    now = clock.now_us()
    tx.sql_many(
        "INSERT INTO task_worker (id, client_id, task_keys, seen) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
        [(id.bytes, client_id, json_in(list(keys)), now) for id, client_id, keys in workers],
    )
    tx.sql("DELETE FROM task_worker WHERE seen < ?", (now - int(WORKER_SECONDS_MAX * 1_000_000),))
