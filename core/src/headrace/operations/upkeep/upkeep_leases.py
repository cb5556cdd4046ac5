"""Steps that take concurrency slots from those who hold them no more. Slots are free when their lease has expired; this removes the rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from headrace.model import clock
from headrace.operations.limits.slots import release_lease
from headrace.operations.upkeep.upkeep import each
from headrace.store.database import Transaction

GRACE = timedelta(minutes=1)
"""How long after its end a run may still hold slots: it gives them back itself."""


def revoke_expired(tx: Transaction, now: datetime, limit: int) -> int:
    """Revoke leases that were not renewed in time. Return how many."""
    return _release(tx, tx.sql("SELECT id FROM concurrency_lease WHERE expires <= ? ORDER BY expires LIMIT ?", (clock.to_us(now), limit)))


def revoke_of_ended(tx: Transaction, now: datetime, limit: int) -> int:
    """Revoke leases whose holder is a run that has ended. Return how many."""
    ended = clock.to_us(now - GRACE)
    return _release(
        tx,
        tx.sql(
            """SELECT e.id FROM concurrency_lease e WHERE e.holder_id IS NOT NULL AND (
            EXISTS (SELECT 1 FROM flow_run f WHERE f.id = e.holder_id AND f.end_time <= ?)
            OR EXISTS (SELECT 1 FROM task_run t WHERE t.id = e.holder_id AND t.end_time <= ?)) ORDER BY e.id LIMIT ?""",
            (ended, ended, limit),
        ),
    )


def _release(tx: Transaction, leases: list[tuple[bytes]]) -> int:
    def release(row: tuple[bytes]) -> bool:
        release_lease(tx, UUID(bytes=row[0]))
        return True

    return each(tx, leases, release)
