"""Zombies: runs whose process died without a word. Who gives signs of life is watched; who stops giving them is taken for dead.

Three kinds of signs: our clients' processes call `OWNER_HEARTBEAT` for all their runs, foreign clients send `prefect.flow-run.heartbeat` events
for each run, and the API itself says that it is there to hear them. Silence counts only while the API was there all the time: after a
restart, an outage of the database or a laptop's sleep everybody gets the whole time again. Who never gave a sign is never judged.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from headrace.model import clock
from headrace.model.states import StateType
from headrace.operations.limits.slots import release_leases_of_run
from headrace.operations.runs.owners import INFRASTRUCTURE_PATIENCE, crash_owned_runs, waits_for_infrastructure
from headrace.operations.upkeep.signs_of_life import api_was_there, note
from headrace.operations.upkeep.upkeep import claim, each, end_task, move
from headrace.store.database import Transaction

PATIENCE = timedelta(minutes=15)
"""How long a flow run is waited for whose pace is not known yet, since it sent one heartbeat only."""


def crash_silent_owners(tx: Transaction, now: datetime, limit: int, *, timeout: timedelta, patience: timedelta = INFRASTRUCTURE_PATIENCE) -> int:
    """Mark the unfinished runs of processes that were silent for `timeout` as Crashed. Return how many processes these were.

    What a worker took and did not begin is scheduled again; infrastructure that it began to make has `patience` to come.
    """
    cutoff = clock.to_us(now - timeout)
    if not api_was_there(tx, now, cutoff):
        return 0
    silent = tx.sql("SELECT id FROM sign_of_life WHERE kind = 'owner' AND seen <= ? ORDER BY seen LIMIT ?", (cutoff, limit))

    def bury(row: tuple[bytes]) -> bool:
        if tx.sql_count("DELETE FROM sign_of_life WHERE id = ? AND seen <= ?", (row[0], cutoff)):
            crash_owned_runs(tx, id=UUID(bytes=row[0]), patience=patience)
            if waits_for_infrastructure(tx, row[0]):
                note(tx, "owner", row[0], cutoff + patience // timedelta(microseconds=1))  # looked at again then
            return True
        return False

    return each(tx, silent, bury)


def crash_silent_flow_runs(tx: Transaction, now: datetime, limit: int, *, timeout: timedelta) -> int:
    """Mark flow runs as Crashed whose heartbeat events stopped: for `timeout`, and for three times their pace. Return how many signs were judged."""
    now_us, timeout_us = clock.to_us(now), timeout // timedelta(microseconds=1)
    cutoff = now_us - timeout_us
    if not api_was_there(tx, now, cutoff):
        return 0
    patience = PATIENCE // timedelta(microseconds=1)
    silent = tx.sql(
        """SELECT s.id, s.seen, r.state_id, r.state_type, r.owner_id FROM sign_of_life s LEFT JOIN flow_run r ON r.id = s.id
        WHERE s.kind = 'flow_run' AND s.seen <= ? AND s.seen + COALESCE(s.pace * 3, ?) <= ? ORDER BY s.seen LIMIT ?""",
        (cutoff, patience, now_us, limit),
    )

    def bury(row: tuple[bytes, int, bytes | None, str | None, bytes | None]) -> bool:
        run, seen, state, state_type, owner = row
        if not tx.sql_count("DELETE FROM sign_of_life WHERE id = ? AND seen = ?", (run, seen)):
            return False
        if state_type in (StateType.RUNNING, StateType.PENDING) and owner is None and state is not None and claim(tx, run, state):
            message = f"No sign of life came from this flow run since {clock.from_us(seen):%Y-%m-%d %H:%M:%S} UTC; its process is taken for dead."
            for (task,) in tx.sql("SELECT id FROM task_run WHERE flow_run_id = ? AND end_time IS NULL", (run,)):
                end_task(tx, task, StateType.CRASHED, message)
            move(tx, run, StateType.CRASHED, message)
            release_leases_of_run(tx, run)
        return True

    return each(tx, silent, bury)
