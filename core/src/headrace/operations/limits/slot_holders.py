"""The runs that take the slots of a queue."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock
from headrace.model.states import StateType
from headrace.model.work_queues import FlowRunSlotSummary
from headrace.operations.pools.pool_rows import SLOT_STATES
from headrace.store.codec import time_out
from headrace.store.database import Transaction


def slot_holders(tx: Transaction, queue: bytes, limit: int, offset: int = 0) -> list[FlowRunSlotSummary]:
    """List the pending and running runs of a queue, those longest in their state first."""
    now = clock.now_us()
    rows = tx.sql(
        f"SELECT id, name, state_type, state_name, start_time, state_timestamp FROM flow_run WHERE work_queue_id = ? AND state_type IN {SLOT_STATES}"
        " ORDER BY state_timestamp, id LIMIT ? OFFSET ?",
        (queue, limit, offset),
    )
    return [
        FlowRunSlotSummary(
            id=UUID(bytes=id),
            name=name,
            state_type=StateType(kind),
            state_name=state,
            start_time=time_out(start),
            state_timestamp=time_out(since),
            time_in_current_state=max(0, now - since) / 1_000_000,
        )
        for id, name, kind, state, start, since in rows
    ]
