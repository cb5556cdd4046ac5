"""Signs of life, noted: of processes that run flows, of flow runs, and of the API that hears them. What follows from silence is in `zombies`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from headrace.model import clock
from headrace.store.database import Transaction

if TYPE_CHECKING:
    from headrace.model.events import Event

API = UUID(int=0)
"""The id of the API's own sign."""
API_INTERVAL_SECONDS = 10
API_GAP = timedelta(seconds=3 * API_INTERVAL_SECONDS)
"""A longer silence of the API means that it was away."""

HEARTBEAT = "prefect.flow-run.heartbeat"

OWNER_NOTED_AGAIN = 5_000_000
"""Microseconds after which what a process says of its runs is noted as a sign of life again."""

Kind = Literal["owner", "flow_run", "api"]


def note(tx: Transaction, kind: Kind, id: bytes, seen: int, newer_by: int = 0) -> None:
    """Note a sign of life; one that is not newer than the last (by so many microseconds) says nothing."""
    tx.sql_count(
        """INSERT INTO sign_of_life (id, kind, since, seen, pace) VALUES (?, ?, ?, ?, NULL)
        ON CONFLICT (id) DO UPDATE SET pace = excluded.seen - sign_of_life.seen, seen = excluded.seen WHERE excluded.seen > sign_of_life.seen + ?""",
        (id, kind, seen, seen, newer_by),
    )


def note_owner(tx: Transaction, owner: UUID | None) -> None:
    """Note that a process speaks of its run to a server: from its first word on it is watched."""
    if owner is not None and tx.caller.is_server:
        note(tx, "owner", owner.bytes, clock.now_us(), OWNER_NOTED_AGAIN)


def note_heartbeats(tx: Transaction, events: Iterable[Event], received: int) -> None:
    """Note the heartbeat events among these, of unfinished flow runs that no process of ours owns: such a process speaks for itself."""
    for event in events:
        if event.event == HEARTBEAT:
            with suppress(ValueError):
                run = UUID(event.resource.id.removeprefix("prefect.flow-run.")).bytes
                if tx.sql_one("SELECT 1 FROM flow_run WHERE id = ? AND owner_id IS NULL AND end_time IS NULL", (run,)):
                    note(tx, "flow_run", run, min(clock.to_us(event.occurred), received))


def note_api(tx: Transaction, now: datetime, limit: int) -> int:
    """Note that the API is there to hear others. After a gap it counts as new."""
    seen = clock.to_us(now)
    tx.sql_count(
        """INSERT INTO sign_of_life (id, kind, since, seen, pace) VALUES (?, 'api', ?, ?, NULL)
        ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, since = CASE WHEN sign_of_life.seen < ? THEN excluded.since ELSE sign_of_life.since END
        WHERE excluded.seen > sign_of_life.seen""",
        (API.bytes, seen, seen, clock.to_us(now - API_GAP)),
    )
    return 0


def api_was_there(tx: Transaction, now: datetime, cutoff: int) -> bool:
    """Say whether the API is there now and was all the time since `cutoff`."""
    row = tx.sql_one("SELECT since, seen FROM sign_of_life WHERE id = ?", (API.bytes,))
    return row is not None and row[0] <= cutoff and row[1] >= clock.to_us(now - API_GAP)
