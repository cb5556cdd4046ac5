"""Slots of concurrency limits, for the operations of other modules too. A slot is held by a lease that has not expired; nothing counts.

What is said without a lease (`active_slots` set by hand, increment and decrement) is kept as one lease of the limit itself, which has
the limit's id and never expires.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.concurrency import ConcurrencyLeaseHolder, ConcurrencyLimitV2Create, MinimalConcurrencyLimitResponse
from headrace.model.errors import InvalidRequest, LeaseGone, ObjectAlreadyExists, ObjectNotFound, SlotsUnavailable, StoreConflict
from headrace.operations.events.lifecycle import Happened, tell
from headrace.rules import slots as rules
from headrace.store.codec import id_in, time_out
from headrace.store.database import Row, Transaction

_HELD = """(SELECT COALESCE(SUM(s.slots), 0) FROM concurrency_slot s JOIN concurrency_lease e ON e.id = s.lease_id
    WHERE s.limit_id = l.id AND (e.expires IS NULL OR e.expires > ?))"""
LIMITS = f"""SELECT l.id, l.created, l.updated, l.name, l.active, l."limit", l.denied_slots, l.slot_decay_per_second,
    l.avg_slot_occupancy_seconds, l.drained_at, {_HELD} FROM concurrency_limit l"""


@dataclass(frozen=True, slots=True)
class Limit:
    """A stored limit and what is taken of it."""

    id: UUID
    created: datetime
    updated: datetime
    active: bool
    denied_slots: int
    room: rules.Room

    @property
    def key(self) -> bytes:
        """The id in storage form."""
        return self.id.bytes


def limit_out(row: Row) -> Limit:
    """Read a row of `LIMITS`."""
    room = rules.Room(row[3], row[5], int(row[10]), row[7], time_out(row[9]), row[8])
    return Limit(UUID(bytes=row[0]), clock.from_us(row[1]), clock.from_us(row[2]), bool(row[4]), row[6], room)


def limits_named(tx: Transaction, names: Iterable[str], now: datetime) -> list[Limit]:
    """Return the active limits of `names` in the order of their names, and lock them; unknown ones are passed over."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    tx.lock("concurrency_limit", "name", wanted)
    places = ", ".join("?" * len(wanted))
    rows = tx.sql(f"{LIMITS} WHERE l.active AND l.name IN ({places}) ORDER BY l.name", (clock.to_us(now), *wanted))
    return [limit_out(row) for row in rows]


def find_limit(tx: Transaction, id_or_name: UUID | str, now: datetime) -> Limit:
    """Return a limit, active or not, by its id or name. Raises `ObjectNotFound`."""
    column, value = "name", id_or_name
    with suppress(ValueError):
        column, value = "id", UUID(str(id_or_name)).bytes
    row = tx.sql_one(f"{LIMITS} WHERE l.{column} = ?", (clock.to_us(now), value))
    if row is None:
        raise ObjectNotFound(f"Concurrency Limit not found: {id_or_name}")
    return limit_out(row)


# --- taking and giving back; other operations call these within their own transaction ---------------------------------------------


def take_slots(
    tx: Transaction,
    names: Sequence[str],
    slots: int,
    *,
    lease_seconds: float | None,
    holder: ConcurrencyLeaseHolder | None = None,
    mode: str = "concurrency",
) -> tuple[UUID, list[Limit]]:
    """Take `slots` of every active limit among `names`, or none at all; return the lease that holds them and the limits.

    A lease without `lease_seconds` holds until it is given back. When no limit is concerned nothing is stored. Raises `SlotsUnavailable`
    when one is full, `InvalidRequest` for what can never succeed.
    """
    now = clock.now()
    limits = limits_named(tx, names, now)
    tx.sql_count("DELETE FROM concurrency_lease WHERE expires <= ?", (clock.to_us(now),))
    admit(limits, slots, mode, now)
    lease_id = ids.new()
    if limits:
        expires = None if lease_seconds is None else now + timedelta(seconds=lease_seconds)
        add_lease(tx, lease_id, now, expires, holder)
        tx.sql_many(
            "INSERT INTO concurrency_slot (limit_id, lease_id, slots) VALUES (?, ?, ?)",
            [(limit.key, lease_id.bytes, slots) for limit in limits],
        )
        fill(tx, limits, slots, now)
    return lease_id, limits


def release_lease(tx: Transaction, lease_id: UUID) -> None:
    """Give back all that a lease holds; an unknown one is no error."""
    now = clock.now()
    lease = tx.sql_one("SELECT created FROM concurrency_lease WHERE id = ?", (lease_id.bytes,))
    if lease is None:
        return
    held_seconds = (now - clock.from_us(lease[0])).total_seconds()
    held = tx.sql(
        """SELECT l.id, l."limit", l.slot_decay_per_second, l.avg_slot_occupancy_seconds, l.drained_at, s.slots
        FROM concurrency_slot s JOIN concurrency_limit l ON l.id = s.limit_id WHERE s.lease_id = ? ORDER BY l.name /*+ FOR UPDATE OF l */""",
        (lease_id.bytes,),
    )
    for key, most, decay, average, drained_at, slots in held:
        if decay > 0:
            room = rules.Room("", most, 0, decay, time_out(drained_at))
            drained = rules.drained_after(room, -rules.undecayed(slots, decay, held_seconds), now)
            tx.sql_count("UPDATE concurrency_limit SET drained_at = ? WHERE id = ?", (clock.to_us(drained), key))
        else:
            average = rules.average_occupancy(average, most, held_seconds)
            tx.sql_count("UPDATE concurrency_limit SET avg_slot_occupancy_seconds = ? WHERE id = ?", (average, key))
    tx.sql_count("DELETE FROM concurrency_lease WHERE id = ?", (lease_id.bytes,))


def release_leases_of_run(tx: Transaction, flow_run_id: bytes) -> None:
    """Give back what a flow run that died, and its task runs, hold."""
    tx.sql_count(
        "DELETE FROM concurrency_lease WHERE holder_id = ? OR holder_id IN (SELECT id FROM task_run WHERE flow_run_id = ?)",
        (flow_run_id, flow_run_id),
    )


def renew(tx: Transaction, lease_id: UUID, lease_seconds: float) -> None:
    """Hold on to a lease until `lease_seconds` from now. Raises `LeaseGone` when it has expired or was given back."""
    now = clock.now()
    changed = tx.sql_count(
        "UPDATE concurrency_lease SET expires = ? WHERE id = ? AND expires > ?",
        (clock.to_us(now + timedelta(seconds=lease_seconds)), lease_id.bytes, clock.to_us(now)),
    )
    if not changed:
        raise LeaseGone("Lease not found - it may have expired or been revoked")


def admit(limits: Sequence[Limit], slots: int, mode: str, now: datetime) -> None:
    """Raise `InvalidRequest` or `SlotsUnavailable` unless `slots` more fit into every one of `limits`."""
    never = rules.refusal([limit.room for limit in limits], slots, mode)
    if never is not None:
        raise InvalidRequest(never)
    full = [limit.room for limit in limits if not rules.has_room(limit.room, slots, now)]
    if full:
        seconds = max(rules.retry_after(room, slots, now, random.random()) for room in full)
        shown = ", ".join(f"{room.name!r} ({rules.active_slots(room, now)} of {room.limit} slots taken)" for room in full)
        raise SlotsUnavailable(f"No room for {slots} more in {shown}.", seconds)


def add_lease(tx: Transaction, lease_id: UUID, now: datetime, expires: datetime | None, holder: ConcurrencyLeaseHolder | None) -> None:
    """Store a lease that holds nothing yet; one that is stored already is left as it is."""
    tx.sql_count(
        "INSERT INTO concurrency_lease (id, created, expires, holder_type, holder_id) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            lease_id.bytes,
            clock.to_us(now),
            None if expires is None else clock.to_us(expires),
            holder and holder.type,
            id_in(holder.id) if holder else None,
        ),
    )


def fill(tx: Transaction, limits: Iterable[Limit], slots: int, now: datetime) -> None:
    """Let `slots` into the buckets of those limits that decay."""
    for limit in limits:
        if limit.room.decays:
            drained = rules.drained_after(limit.room, slots, now)
            tx.sql_count("UPDATE concurrency_limit SET drained_at = ? WHERE id = ?", (clock.to_us(drained), limit.key))


def add_by_hand(tx: Transaction, limit: Limit, slots: int, now: datetime) -> None:
    """Add `slots` (or take them away, down to none) to what the limit's own lease holds."""
    add_lease(tx, limit.id, now, None, None)
    tx.sql_count(
        """INSERT INTO concurrency_slot (limit_id, lease_id, slots) VALUES (?, ?, ?)
        ON CONFLICT (limit_id, lease_id) DO UPDATE
        SET slots = CASE WHEN concurrency_slot.slots + ? < 0 THEN 0 ELSE concurrency_slot.slots + ? END""",
        (limit.key, limit.key, max(0, slots), slots, slots),
    )


def set_active_slots(tx: Transaction, limit: Limit, wanted: int, now: datetime) -> None:
    """Make `wanted` slots of the limit taken: the operator's word counts, so leases beyond it are revoked, the newest first."""
    tx.lock("concurrency_limit", "id", [limit.key])
    if limit.room.decays:
        drained = rules.drained_after(replace(limit.room, drained_at=None), wanted, now)
        tx.sql_count("UPDATE concurrency_limit SET drained_at = ? WHERE id = ?", (clock.to_us(drained), limit.key))
        return
    tx.sql_count("DELETE FROM concurrency_lease WHERE id = ?", (limit.key,))
    held = 0
    for key, slots in tx.sql(
        """SELECT s.lease_id, s.slots FROM concurrency_slot s JOIN concurrency_lease e ON e.id = s.lease_id
        WHERE s.limit_id = ? AND (e.expires IS NULL OR e.expires > ?) ORDER BY s.lease_id""",
        (limit.key, clock.to_us(now)),
    ):
        if held + slots > wanted:
            tx.sql_count("DELETE FROM concurrency_lease WHERE id = ?", (key,))
        else:
            held += slots
    if wanted > held:
        add_by_hand(tx, limit, wanted - held, now)


def insert_limit(tx: Transaction, name: str, most: int, body: ConcurrencyLimitV2Create | None = None) -> Limit:
    """Store a new limit. Raises `ObjectAlreadyExists` when the name is taken."""
    now, limit_id = clock.now(), ids.new()
    body = body or ConcurrencyLimitV2Create.model_construct(name=name, limit=most)
    try:
        tx.sql_count(
            """INSERT INTO concurrency_limit (id, created, updated, name, active, "limit", denied_slots, slot_decay_per_second,
                avg_slot_occupancy_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                limit_id.bytes,
                clock.to_us(now),
                clock.to_us(now),
                name,
                body.active,
                most,
                body.denied_slots,
                body.slot_decay_per_second,
                rules.AVERAGE_OCCUPANCY_SECONDS,
            ),
        )
    except StoreConflict as error:
        raise ObjectAlreadyExists(f"A concurrency limit with the name {name!r} already exists.") from error
    if body.active_slots:
        set_active_slots(tx, find_limit(tx, limit_id, now), body.active_slots, now)
    made = find_limit(tx, limit_id, now)
    tell_limit(tx, "created", made)
    return made


def tell_limit(tx: Transaction, happened: Happened, limit: Limit) -> None:
    """Tell that a limit was made, changed or deleted."""
    room = limit.room
    payload: dict[str, object] = {"id": limit.id, "created": limit.created, "updated": limit.updated, "active": limit.active, "name": room.name}
    payload.update(limit=room.limit, slot_decay_per_second=room.decay_per_second)
    tell(tx, "concurrency-limit", happened, limit, name=room.name, payload=payload)


def remove_limit(tx: Transaction, limit: Limit) -> None:
    """Delete a limit with what is held of it."""
    tell_limit(tx, "deleted", limit)
    tx.sql_count("DELETE FROM concurrency_limit WHERE id = ?", (limit.key,))
    tx.sql_count("DELETE FROM concurrency_lease WHERE id = ?", (limit.key,))


def minimal(limits: Iterable[Limit]) -> list[MinimalConcurrencyLimitResponse]:
    """Return limits in the shape that answers about slots have."""
    return [MinimalConcurrencyLimitResponse(id=limit.id, name=limit.room.name, limit=limit.room.limit) for limit in limits]
