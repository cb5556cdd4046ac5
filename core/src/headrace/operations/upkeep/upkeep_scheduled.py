"""Steps that look after runs that wait: those that did not start in time, and pauses that lasted too long."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from headrace.model import clock
from headrace.model.states import StateType
from headrace.operations.runs import transitions
from headrace.operations.runs.encoding import details_out
from headrace.operations.upkeep.upkeep import claim, each, move
from headrace.store.database import Transaction

PAGE = 500
_FIRST = UUID(int=0).bytes


def mark_late(tx: Transaction, now: datetime, limit: int, *, after: timedelta) -> int:
    """Mark runs as Late that should have started longer than `after` ago. Return how many."""
    overdue = tx.sql(
        "SELECT id, state_id FROM flow_run WHERE state_name = 'Scheduled' AND next_scheduled_start_time <= ?"
        " ORDER BY next_scheduled_start_time LIMIT ?",
        (clock.to_us(now - after), limit),
    )

    def mark(row: tuple[bytes, bytes]) -> bool:
        if not claim(tx, *row):
            return False
        answer = transitions.mark_late(tx, UUID(bytes=row[0]))
        return answer.state is not None and answer.state.name != "Scheduled"

    return each(tx, overdue, mark)


def fail_expired_pauses(tx: Transaction, now: datetime, limit: int) -> int:
    """Fail runs whose pause has timed out. Return how many."""
    expired: list[tuple[bytes, bytes, bool]] = []
    last = _FIRST
    while len(expired) < limit:
        paused = tx.sql(
            """SELECT r.id, r.state_id, s.details FROM flow_run r JOIN flow_run_state s ON s.id = r.state_id
            WHERE r.state_type = 'PAUSED' AND r.next_scheduled_start_time IS NULL AND r.id > ? ORDER BY r.id LIMIT ?""",
            (last, PAGE),
        )
        for run_id, state_id, text in paused:
            details = details_out(text, None, None)
            if details.pause_timeout is not None and details.pause_timeout <= now:
                expired.append((run_id, state_id, bool(details.pause_reschedule)))
        if len(paused) < PAGE:
            break
        last = paused[-1][0]

    def fail(row: tuple[bytes, bytes, bool]) -> bool:
        if not claim(tx, row[0], row[1]):
            return False
        move(tx, row[0], StateType.FAILED, f"The flow was {'suspended' if row[2] else 'paused'} and never resumed.")
        return True

    return each(tx, expired[:limit], fail)
