"""Whether somebody asks for the runs of deployments: READY while someone does, by the deployment's own id or through its work queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from headrace.model import clock
from headrace.model.deployments import DeploymentStatus
from headrace.operations.deployments.deployment_rows import find_deployment, labels_of, parts, relations
from headrace.operations.events import emitting
from headrace.store.database import Transaction
from headrace.store.translation import SKIP_LOCKED


def mark_polled(tx: Transaction, deployments: Sequence[bytes]) -> None:
    """Note that somebody asked for runs of these deployments."""
    now = clock.now_us()
    for part in parts(deployments):
        places = ", ".join("?" * len(part))
        tx.sql(f"UPDATE deployment SET last_polled = ? WHERE id IN ({places})", (now, *part))
        waiting = tx.sql(f"SELECT id FROM deployment WHERE id IN ({places}) AND status = 'NOT_READY'", part)
        _set(tx, [key for (key,) in waiting], DeploymentStatus.READY)


def mark_queues_polled(tx: Transaction, queues: Sequence[bytes]) -> None:
    """Note that somebody asked for runs of these work queues: their deployments are ready. When it was, the queues say."""
    for part in parts(queues):
        waiting = tx.sql(f"SELECT id FROM deployment WHERE work_queue_id IN ({', '.join('?' * len(part))}) AND status = 'NOT_READY'", part)
        _set(tx, [key for (key,) in waiting], DeploymentStatus.READY)


def mark_deployments_not_ready(tx: Transaction, now: datetime, limit: int, *, after: timedelta) -> int:
    """Mark deployments NOT_READY that nobody has asked for within `after`, nor for their queue, and tell of each. Return how many."""
    before = clock.to_us(now - after)
    rows = tx.sql(
        "SELECT id FROM deployment WHERE status = 'READY' AND (last_polled IS NULL OR last_polled < ?)"
        " AND NOT EXISTS (SELECT 1 FROM work_queue q WHERE q.id = deployment.work_queue_id AND q.last_polled >= ?)"
        f" ORDER BY id LIMIT ? {SKIP_LOCKED}",
        (before, before, limit),
    )
    _set(tx, [key for (key,) in rows], DeploymentStatus.NOT_READY)
    return len(rows)


def _set(tx: Transaction, deployments: Sequence[bytes], status: DeploymentStatus) -> None:
    for key in deployments:
        tx.sql("UPDATE deployment SET status = ? WHERE id = ?", (status.value, key))
        if tx.caller.is_server:
            deployment = find_deployment(tx, UUID(bytes=key))
            word = "ready" if status is DeploymentStatus.READY else "not-ready"
            emitting.emit(tx, f"prefect.deployment.{word}", labels_of(deployment), relations(tx, deployment))
