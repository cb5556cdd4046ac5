"""Concurrency limits with names, and taking and giving back their slots. What slots are: `slots.py`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from headrace.model import clock
from headrace.model.concurrency import (
    ConcurrencyLimitV2,
    ConcurrencyLimitV2Create,
    ConcurrencyLimitV2Update,
    ConcurrencyLimitWithLeaseResponse,
    DecrementSlots,
    FilterConcurrencyLimits,
    GlobalConcurrencyLimitResponse,
    IncrementSlots,
    IncrementSlotsWithLease,
    MinimalConcurrencyLimitResponse,
    ReleaseLease,
    RenewLease,
)
from headrace.model.endpoints import concurrency as endpoints
from headrace.model.errors import ObjectAlreadyExists, StoreConflict
from headrace.operations.limits.slots import (
    LIMITS,
    Limit,
    add_by_hand,
    admit,
    fill,
    find_limit,
    insert_limit,
    limit_out,
    limits_named,
    minimal,
    release_lease,
    remove_limit,
    renew,
    set_active_slots,
    take_slots,
    tell_limit,
)
from headrace.operations.pages import page_limit
from headrace.operations.table import Operation
from headrace.rules import slots as rules
from headrace.store.database import Transaction


def create_limit(tx: Transaction, body: ConcurrencyLimitV2Create) -> ConcurrencyLimitV2:
    """Store a new limit. Raises `ObjectAlreadyExists`."""
    return _shown_whole(insert_limit(tx, body.name, body.limit, body), clock.now())


def _shown_whole(limit: Limit, now: datetime) -> ConcurrencyLimitV2:
    room = limit.room
    return ConcurrencyLimitV2(
        id=limit.id,
        created=limit.created,
        updated=limit.updated,
        active=limit.active,
        name=room.name,
        limit=room.limit,
        active_slots=rules.active_slots(room, now),
        denied_slots=limit.denied_slots,
        slot_decay_per_second=room.decay_per_second,
        avg_slot_occupancy_seconds=room.average_occupancy_seconds,
    )


def _shown(limit: Limit, now: datetime) -> GlobalConcurrencyLimitResponse:
    return GlobalConcurrencyLimitResponse(
        id=limit.id,
        created=limit.created,
        updated=limit.updated,
        active=limit.active,
        name=limit.room.name,
        limit=limit.room.limit,
        active_slots=rules.active_slots(limit.room, now),
        slot_decay_per_second=limit.room.decay_per_second,
    )


def read_limit(tx: Transaction, *, id_or_name: UUID | str) -> GlobalConcurrencyLimitResponse:
    """Return a limit with what is taken of it now. Raises `ObjectNotFound`."""
    now = clock.now()
    return _shown(find_limit(tx, id_or_name, now), now)


def filter_limits(tx: Transaction, body: FilterConcurrencyLimits) -> list[GlobalConcurrencyLimitResponse]:
    """List limits by name."""
    now = clock.now()
    rows = tx.sql(f"{LIMITS} ORDER BY l.name LIMIT ? OFFSET ?", (clock.to_us(now), page_limit(body.limit), body.offset))
    return [_shown(limit_out(row), now) for row in rows]


def update_limit(tx: Transaction, body: ConcurrencyLimitV2Update, *, id_or_name: UUID | str) -> None:
    """Change what is given of a limit. Raises `ObjectNotFound`, `ObjectAlreadyExists`."""
    now = clock.now()
    limit = find_limit(tx, id_or_name, now)
    tx.lock("concurrency_limit", "id", [limit.key])
    changes = {name: value for name, value in body.model_dump(exclude_unset=True).items() if value is not None}
    wanted = changes.pop("active_slots", None)
    columns = ", ".join(f'"{name}" = ?' for name in ("updated", *changes))
    try:
        tx.sql_count(f"UPDATE concurrency_limit SET {columns} WHERE id = ?", (clock.to_us(now), *changes.values(), limit.key))
    except StoreConflict as error:
        raise ObjectAlreadyExists(f"A concurrency limit with the name {body.name!r} already exists.") from error
    if wanted is not None:
        set_active_slots(tx, find_limit(tx, limit.id, now), wanted, now)
    if tx.caller.is_server:
        tell_limit(tx, "updated", find_limit(tx, limit.id, now))


def delete_limit(tx: Transaction, *, id_or_name: UUID | str) -> None:
    """Delete a limit. Raises `ObjectNotFound`."""
    remove_limit(tx, find_limit(tx, id_or_name, clock.now()))


def increment_slots(tx: Transaction, body: IncrementSlots) -> list[MinimalConcurrencyLimitResponse]:
    """Take slots of every limit, all or none, until they are given back. Raises `SlotsUnavailable`, `InvalidRequest`."""
    now = clock.now()
    limits = limits_named(tx, body.names, now)
    admit(limits, body.slots, body.mode, now)
    fill(tx, limits, body.slots, now)
    for limit in limits:
        if not limit.room.decays:
            add_by_hand(tx, limit, body.slots, now)
    return minimal(limits)


def decrement_slots(tx: Transaction, body: DecrementSlots) -> list[MinimalConcurrencyLimitResponse]:
    """Give back slots that were taken without a lease, down to none. What leases hold stays."""
    now = clock.now()
    limits = limits_named(tx, body.names, now)
    for limit in limits:
        if limit.room.decays:
            drained = rules.drained_after(limit.room, -body.slots, now)
            tx.sql_count("UPDATE concurrency_limit SET drained_at = ? WHERE id = ?", (clock.to_us(drained), limit.key))
            continue
        add_by_hand(tx, limit, -body.slots, now)
        if body.occupancy_seconds:
            average = rules.average_occupancy(limit.room.average_occupancy_seconds, limit.room.limit, body.occupancy_seconds)
            tx.sql_count("UPDATE concurrency_limit SET avg_slot_occupancy_seconds = ? WHERE id = ?", (average, limit.key))
    return minimal(limits)


def increment_slots_with_lease(tx: Transaction, body: IncrementSlotsWithLease) -> ConcurrencyLimitWithLeaseResponse:
    """Take slots of every limit, all or none, for the duration of a lease. Raises `SlotsUnavailable`, `InvalidRequest`."""
    lease_id, limits = take_slots(tx, body.names, body.slots, lease_seconds=body.lease_duration, holder=body.holder, mode=body.mode)
    return ConcurrencyLimitWithLeaseResponse(lease_id=lease_id, limits=minimal(limits))


def decrement_slots_with_lease(tx: Transaction, body: ReleaseLease) -> None:
    """Give back all that a lease holds. An unknown lease is no error."""
    release_lease(tx, body.lease_id)


def renew_lease(tx: Transaction, body: RenewLease, *, lease_id: UUID) -> None:
    """Hold on to a lease. Raises `LeaseGone`."""
    renew(tx, lease_id, body.lease_duration)


OPERATIONS = {
    endpoints.CREATE_LIMIT: Operation(create_limit, True),
    endpoints.READ_LIMIT: Operation(read_limit, False),
    endpoints.FILTER_LIMITS: Operation(filter_limits, False),
    endpoints.UPDATE_LIMIT: Operation(update_limit, True),
    endpoints.DELETE_LIMIT: Operation(delete_limit, True),
    endpoints.INCREMENT_SLOTS: Operation(increment_slots, True),
    endpoints.DECREMENT_SLOTS: Operation(decrement_slots, True),
    endpoints.INCREMENT_SLOTS_WITH_LEASE: Operation(increment_slots_with_lease, True),
    endpoints.DECREMENT_SLOTS_WITH_LEASE: Operation(decrement_slots_with_lease, True),
    endpoints.RENEW_LEASE: Operation(renew_lease, True),
}
