"""Background task runs on their way to a task worker, and the workers themselves. The database is the queue, so every server sees one.

A queued run is handed out under a claim of limited length. Confirmed, it leaves the queue; given back, or when the claim runs out, it is
handed out again. A worker that says so holds its runs until they have ended: a run whose worker went away is scheduled and handed out again.
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
HOLD_SECONDS = 90.0
"""How long a run stays with a worker that holds it after its server last told that it is connected."""
GRACE_SECONDS = 5.0
"""How long a worker that holds runs may take to connect again."""
HELD_MAX = 5
"""How many workers in a row may go away while they hold a run; then it is Crashed, for it may be what ends them."""
TRIES_MAX = 20
"""How often a claim is tried while other servers are faster."""
WORKER_SECONDS_MAX = 90.0
"""How long a task worker is listed after its server last told of it."""


def enqueue(tx: Transaction, task_run_id: UUID, task_key: str, scheduled: int) -> None:
    """Queue a run, to be handed out from `scheduled` (microseconds) on; tell the servers."""
    tx.sql(
        "INSERT INTO task_queue (task_run_id, task_key, scheduled, available, claim_id, held) VALUES (?, ?, ?, ?, NULL, 0) ON CONFLICT (task_run_id)"
        " DO UPDATE SET scheduled = excluded.scheduled, available = excluded.available, claim_id = NULL, held = 0",
        (task_run_id.bytes, task_key, scheduled, scheduled),
    )
    tx.publish("task_runs", [task_key])


@dataclass(slots=True)
class Want:
    """A worker's connection that is free for one run of `task_keys`."""

    connection: UUID
    task_keys: tuple[str, ...]
    holds: bool = False


@dataclass(slots=True)
class Handover:
    """What workers told since the last time, and what they want next."""

    confirmed: list[UUID] = field(default_factory=list[UUID])
    """Runs that leave the queue: taken over for good, or ended."""
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
        freed = tx.sql(
            "UPDATE task_queue SET available = CASE WHEN held > 0 THEN ? ELSE scheduled END, claim_id = NULL WHERE claim_id = ? RETURNING task_key",
            (now + int(GRACE_SECONDS * 1_000_000), connection.bytes),
        )
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
        until = now + int((HOLD_SECONDS if want.holds else CLAIM_SECONDS) * 1_000_000)
        held = tx.sql("SELECT held FROM task_queue WHERE task_run_id = ? AND available <= ?", (id, now))
        if not held or not _take(tx, want, id, until, held[0][0] if want.holds else 0, now):
            continue  # another server was faster
        if run := _ready(tx, UUID(bytes=id), held[0][0], now):
            _take(tx, want, id, until, held[0][0] + 1 if want.holds else 0)
            return run
        tx.sql("DELETE FROM task_queue WHERE task_run_id = ?", (id,))  # deleted, cancelled or ended while it waited
    return None


def _take(tx: Transaction, want: Want, id: bytes, until: int, held: int, now: int | None = None) -> bool:
    free = "" if now is None else " AND available <= ?"
    values = (until, want.connection.bytes, held, id) if now is None else (until, want.connection.bytes, held, id, now)
    return tx.sql_count(f"UPDATE task_queue SET available = ?, claim_id = ?, held = ? WHERE task_run_id = ?{free}", values) > 0


def _ready(tx: Transaction, id: UUID, held: int, now: int) -> TaskRun | None:
    """Return the run if a worker may begin it; one that a worker went away with is scheduled anew."""
    row = tx.sql_one(statements.SELECT_TASK_RUN, (id.bytes,))
    run = task_run_out(row, now) if row is not None else None
    if run is None or run.state is None or run.state.is_final():
        return None
    if not held:
        return run if run.state_type is StateType.SCHEDULED else None
    if run.state.state_details.deferred and run.state_type is StateType.SCHEDULED:
        return run  # it was not begun
    if held >= HELD_MAX:
        message = f"{held} task workers in a row went away while they had this run. It may be what ends them; look at its log."
        transitions.set_task_run_state(tx, id, SetState(state=StateCreate(type=StateType.CRASHED, message=message), force=True))
        return None
    if not _schedule_again(tx, id, clock.from_us(now), "The task worker that had this run went away before its end; it runs again."):
        return None
    row = tx.sql_one(statements.SELECT_TASK_RUN, (id.bytes,))
    return task_run_out(row, now) if row is not None else None


def _schedule_again(tx: Transaction, id: UUID, now: datetime, message: str) -> bool:
    """Put a background run back into the state that it was queued in. False for one that never was."""
    scheduled = tx.sql(
        "SELECT details FROM task_run_state WHERE task_run_id = ? AND type = 'SCHEDULED' ORDER BY timestamp DESC, id DESC", (id.bytes,)
    )
    before = next((found for (text,) in scheduled if (found := details_out(text, None, None)).deferred), None)
    if before is None:
        return False
    details = StateDetails(deferred=True, scheduled_time=now, task_parameters_id=before.task_parameters_id)
    state = StateCreate(type=StateType.SCHEDULED, name="Scheduled", message=message, state_details=details)
    transitions.set_task_run_state(tx, id, SetState(state=state, force=True))
    return True


def hold_again(tx: Transaction, connection: UUID, client_id: str, runs: Sequence[UUID]) -> None:
    """Note that a worker which connects again still has these runs. One that was handed to another worker meanwhile stays there."""
    until = clock.now_us() + int(HOLD_SECONDS * 1_000_000)
    tx.sql_many(
        "UPDATE task_queue SET available = ?, claim_id = ? WHERE task_run_id = ? AND held > 0"
        " AND NOT EXISTS (SELECT 1 FROM task_worker w WHERE w.id = task_queue.claim_id AND w.client_id <> ?)",
        [(until, connection.bytes, id.bytes, client_id) for id in runs],
    )


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
        "SELECT id FROM task_run WHERE end_time IS NULL AND state_type = 'PENDING' AND state_name <> 'NotReady' AND state_timestamp < ?"
        " AND NOT EXISTS (SELECT 1 FROM task_queue q WHERE q.task_run_id = task_run.id) ORDER BY state_timestamp LIMIT ?",
        (microseconds(now - timeout), limit),
    )
    count = 0
    for (id,) in stuck:
        tx.lock("task_run", "id", [id])
        if not tx.sql_one("SELECT id FROM task_run WHERE id = ? AND state_type = 'PENDING'", (id,)):
            continue
        message = f"The task worker that took this run did not begin it within {timeout.total_seconds():g} seconds."
        count += _schedule_again(tx, UUID(bytes=id), now, message)
    return count


def see_workers(tx: Transaction, workers: Sequence[tuple[UUID, str, Sequence[str]]]) -> None:
    """Note that these workers (connection, client id, task keys) are connected now; forget those that nobody told of for long."""
    now = clock.now_us()
    tx.sql_many(
        "INSERT INTO task_worker (id, client_id, task_keys, seen) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
        [(id.bytes, client_id, json_in(list(keys)), now) for id, client_id, keys in workers],
    )
    until = now + int(HOLD_SECONDS * 1_000_000)
    tx.sql_many("UPDATE task_queue SET available = ? WHERE claim_id = ? AND held > 0", [(until, id.bytes) for id, *_ in workers])
    tx.sql("DELETE FROM task_worker WHERE seen < ?", (now - int(WORKER_SECONDS_MAX * 1_000_000),))
