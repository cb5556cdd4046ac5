"""Steps that delete what is older than it should be, or belongs to a run that is gone. Events have steps of their own."""

from __future__ import annotations

from datetime import datetime, timedelta

from headrace.model import clock
from headrace.operations.runs.deletion import delete_flow_runs
from headrace.store.database import Transaction

YOUNG = timedelta(hours=1)
"""Younger rows are never taken for orphans: their run may be on its way."""


def delete_old_flow_runs(tx: Transaction, now: datetime, limit: int, *, retention: timedelta) -> int:
    """Delete ended flow runs that ended longer than `retention` ago, and are no subflow of one that is kept. Return how many."""
    old = tx.sql(
        """SELECT f.id FROM flow_run f WHERE f.end_time < ? AND f.state_type IN ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')
        AND (f.parent_task_run_id IS NULL OR NOT EXISTS (SELECT 1 FROM task_run t WHERE t.id = f.parent_task_run_id)) ORDER BY f.id LIMIT ?""",
        (clock.to_us(now - retention), limit),
    )
    delete_flow_runs(tx, [row[0] for row in old])
    return len(old)


def delete_orphaned_logs(tx: Transaction, now: datetime, limit: int) -> int:
    """Delete the logs of flow runs that are gone. Return of how many runs."""
    return _delete_orphans(tx, "log", "timestamp", now, limit)


def delete_orphaned_artifacts(tx: Transaction, now: datetime, limit: int) -> int:
    """Delete the artifacts of flow runs that are gone; the latest of a key is then the newest that is left. Return of how many runs."""
    return _delete_orphans(tx, "artifact", "created", now, limit)


def _delete_orphans(tx: Transaction, table: str, time: str, now: datetime, limit: int) -> int:
    old = clock.to_us(now - YOUNG)
    gone = tx.sql(
        f"""SELECT DISTINCT o.flow_run_id FROM {table} o WHERE o.flow_run_id IS NOT NULL AND o.{time} < ?
        AND NOT EXISTS (SELECT 1 FROM flow_run f WHERE f.id = o.flow_run_id) LIMIT ?""",
        (old, limit),
    )
    for (run,) in gone:
        tx.sql_count(f"DELETE FROM {table} WHERE flow_run_id = ? AND {time} < ?", (run, old))
    return len(gone)
