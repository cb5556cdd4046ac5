"""The slots of deployments that limit how many of their runs are under way: what the rules ask about them, and what states do with them.

A slot is a lease that names the run as its holder. It lasts while the run's infrastructure is made; then the run's client renews it, or, if
it cannot, the run holds the slot until it leaves it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.concurrency import ConcurrencyLeaseHolder
from headrace.operations.limits import slots
from headrace.rules.slots import active_slots
from headrace.rules.transitions import Claim, DeploymentSlots
from headrace.settings import get_current_settings
from headrace.store.codec import json_out
from headrace.store.database import Transaction

RENEWING_CLIENT = (3, 4, 11)
"""The first version of a client that renews the lease of its run."""


def read(tx: Transaction, deployment: UUID, lease: UUID | None, now: datetime) -> dict[str, Any]:
    """Return the facts about a deployment's slots, and of the lease that a run of it holds. The limit is locked until the transaction ends."""
    row = tx.sql_one("SELECT concurrency_limit_id, concurrency_options FROM deployment WHERE id = ?", (deployment.bytes,))
    if row is None:
        return {"deployment_is_gone": True}
    found: dict[str, Any] = {
        "client_renews_leases": tx.caller.client_version is not None and tx.caller.client_version >= RENEWING_CLIENT,
        "slot_wait_seconds": get_current_settings().server.deployments.concurrency_slot_wait_seconds,
    }
    if row[0] is not None:
        tx.lock("concurrency_limit", "id", [row[0]])
        limit = slots.find_limit(tx, UUID(bytes=row[0]), now)
        if limit.active:
            options: dict[str, Any] = json_out(row[1]) or {}
            when_full = options.get("collision_strategy", "ENQUEUE")
            state = "none" if lease is None else "held" if _is_live(tx, lease, now) else "lost"
            found["deployment_slots"] = DeploymentSlots(limit.room.limit, active_slots(limit.room, now), when_full, state)
    return found


def _is_live(tx: Transaction, lease: UUID, now: datetime) -> bool:
    text = "SELECT 1 FROM concurrency_lease WHERE id = ? AND (expires IS NULL OR expires > ?)"
    return tx.sql_one(text, (lease.bytes, clock.to_us(now))) is not None


def perform(tx: Transaction, effects: tuple[Claim, ...], run: UUID, deployment: UUID, lease: UUID | None) -> UUID | None:
    """Take, renew or hold on to the slot of a run as its new state says; return the lease that it holds then."""
    if Claim.TAKE_DEPLOYMENT_SLOT in effects:
        lease = _take(tx, run, deployment)
    if lease is not None and Claim.RENEW_DEPLOYMENT_LEASE in effects:
        slots.renew(tx, lease, get_current_settings().server.concurrency.initial_deployment_lease_duration)
    if lease is not None and Claim.DROP_DEPLOYMENT_LEASE in effects:
        tx.sql("UPDATE concurrency_lease SET expires = NULL WHERE id = ?", (lease.bytes,))
    return lease


def _take(tx: Transaction, run: UUID, deployment: UUID) -> UUID:
    row = tx.sql_one(
        "SELECT l.name, d.concurrency_options FROM deployment d JOIN concurrency_limit l ON l.id = d.concurrency_limit_id WHERE d.id = ?",
        (deployment.bytes,),
    )
    assert row is not None, "the rules saw the limit in this transaction"
    options: dict[str, Any] = json_out(row[1]) or {}
    seconds: float = options.get("grace_period_seconds") or get_current_settings().server.concurrency.initial_deployment_lease_duration
    return slots.take_slots(tx, [row[0]], 1, lease_seconds=seconds, holder=ConcurrencyLeaseHolder(type="flow_run", id=run))[0]
