"""Steps that finish cancellations: what a cancelled flow run left behind, and runs that never said that they are cancelled."""

from __future__ import annotations

from datetime import datetime, timedelta

from headrace.model import clock
from headrace.model.states import StateType
from headrace.operations.upkeep.upkeep import claim, each, end_task, move
from headrace.store.database import Transaction

PARENT_CANCELLED = "The parent flow run was cancelled."


def cancel_tasks(tx: Transaction, now: datetime, limit: int) -> int:
    """Cancel the unfinished task runs of cancelled flow runs. Return how many."""
    unfinished = tx.sql(  # CROSS JOIN: begin with the unfinished tasks, which are few
        """SELECT t.id FROM task_run t CROSS JOIN flow_run r WHERE t.end_time IS NULL AND t.flow_run_id IS NOT NULL
        AND r.id = t.flow_run_id AND r.state_type = 'CANCELLED' ORDER BY t.flow_run_id, t.id LIMIT ?""",
        (limit,),
    )

    def cancel(row: tuple[bytes]) -> bool:
        tx.lock("task_run", "id", row)
        if tx.sql_one("SELECT 1 FROM task_run WHERE id = ? AND end_time IS NULL", row) is None:
            return False
        end_task(tx, row[0], StateType.CANCELLED, PARENT_CANCELLED)
        return True

    return each(tx, unfinished, cancel)


def cancel_subflows(tx: Transaction, now: datetime, limit: int) -> int:
    """Cancel the unfinished subflow runs of cancelled flow runs: those with infrastructure of their own are told to stop. Return how many."""
    unfinished = tx.sql(
        """SELECT f.id, f.state_id, f.deployment_id FROM flow_run f CROSS JOIN task_run t CROSS JOIN flow_run p
        WHERE f.state_type IN ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED') AND f.parent_task_run_id IS NOT NULL
        AND t.id = f.parent_task_run_id AND p.id = t.flow_run_id AND p.state_type = 'CANCELLED' ORDER BY f.id LIMIT ?""",
        (limit,),
    )

    def cancel(row: tuple[bytes, bytes, bytes | None]) -> bool:
        run, state, deployment = row
        if not claim(tx, run, state):
            return False
        if deployment is None:
            move(tx, run, StateType.CANCELLED, PARENT_CANCELLED)
        else:
            move(tx, run, StateType.CANCELLING, PARENT_CANCELLED, force=False)
        return True

    return each(tx, unfinished, cancel)


def finish_cancelling(tx: Transaction, now: datetime, limit: int, *, timeout: timedelta) -> int:
    """Call runs Cancelled that have been Cancelling for longer than `timeout`. Return how many."""
    waiting = tx.sql(
        "SELECT id, state_id FROM flow_run WHERE state_type = 'CANCELLING' AND state_timestamp <= ? ORDER BY state_timestamp LIMIT ?",
        (clock.to_us(now - timeout), limit),
    )
    message = f"Nobody reported within {timeout.total_seconds():g} seconds that the run was cancelled; it counts as cancelled now."

    def finish(row: tuple[bytes, bytes]) -> bool:
        if not claim(tx, *row):
            return False
        move(tx, row[0], StateType.CANCELLED, message)
        return True

    return each(tx, waiting, finish)
