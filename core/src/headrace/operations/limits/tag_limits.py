"""Limits of tags: the older face of the limits named `tag:<tag>`, whose slots are held by task runs until they give them back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.concurrency import (
    TAG_PREFIX,
    ConcurrencyLeaseHolder,
    ConcurrencyLimit,
    ConcurrencyLimitCreate,
    FilterConcurrencyLimits,
    MinimalConcurrencyLimitResponse,
    ResetTagLimit,
    TagSlots,
)
from headrace.model.endpoints import concurrency as endpoints
from headrace.model.errors import ObjectNotFound, SlotsUnavailable
from headrace.operations.limits.slots import (
    LIMITS,
    Limit,
    add_lease,
    admit,
    find_limit,
    insert_limit,
    limit_out,
    limits_named,
    minimal,
    remove_limit,
    set_active_slots,
    tell_limit,
)
from headrace.operations.pages import page_limit
from headrace.operations.table import Operation
from headrace.rules.slots import TAG_WAIT_SECONDS_MAX
from headrace.store.database import Transaction

_TAGGED = "l.name LIKE 'tag:%'"


def create_tag_limit(tx: Transaction, body: ConcurrencyLimitCreate) -> ConcurrencyLimit:
    """Limit a tag, or change its limit."""
    now = clock.now()
    name = TAG_PREFIX + body.tag
    if _row_of(tx, name, now):
        tx.sql_count('UPDATE concurrency_limit SET "limit" = ?, updated = ? WHERE name = ?', (body.concurrency_limit, clock.to_us(now), name))
        tx.status = 200
        changed = find_limit(tx, name, now)
        tell_limit(tx, "updated", changed)
        return _shown(tx, changed, now)
    return _shown(tx, insert_limit(tx, name, body.concurrency_limit), now)


def read_tag_limit(tx: Transaction, *, id: UUID) -> ConcurrencyLimit:
    """Return the limit of a tag by its id. Raises `ObjectNotFound`."""
    now = clock.now()
    return _shown(tx, _found(tx, id, now), now)


def read_tag_limit_by_tag(tx: Transaction, *, tag: str) -> ConcurrencyLimit:
    """Return the limit of a tag. Raises `ObjectNotFound`."""
    now = clock.now()
    return _shown(tx, _found(tx, TAG_PREFIX + tag, now), now)


def filter_tag_limits(tx: Transaction, body: FilterConcurrencyLimits) -> list[ConcurrencyLimit]:
    """List the limits of tags, by tag."""
    now = clock.now()
    rows = tx.sql(f"{LIMITS} WHERE {_TAGGED} ORDER BY l.name LIMIT ? OFFSET ?", (clock.to_us(now), page_limit(body.limit), body.offset))
    return [_shown(tx, limit_out(row), now) for row in rows]


def delete_tag_limit(tx: Transaction, *, id: UUID) -> None:
    """Delete the limit of a tag by its id. Raises `ObjectNotFound`."""
    remove_limit(tx, _found(tx, id, clock.now()))


def delete_tag_limit_by_tag(tx: Transaction, *, tag: str) -> None:
    """Delete the limit of a tag. Raises `ObjectNotFound`."""
    remove_limit(tx, _found(tx, TAG_PREFIX + tag, clock.now()))


def reset_tag_limit(tx: Transaction, body: ResetTagLimit, *, tag: str) -> None:
    """Free all slots of a tag but those of the named task runs. Raises `ObjectNotFound`."""
    now = clock.now()
    limit = _found(tx, TAG_PREFIX + tag, now)
    set_active_slots(tx, limit, 0, now)
    for task_run_id in body.slot_override or ():
        _hold(tx, [limit], task_run_id, now)


def increment_tag_slots(tx: Transaction, body: TagSlots) -> list[MinimalConcurrencyLimitResponse]:
    """Take one slot of each tag's limit for a task run, or none at all. A task run never holds two slots of one limit."""
    now = clock.now()
    limits = limits_named(tx, [TAG_PREFIX + tag for tag in body.names], now)
    for limit in limits:
        if limit.room.limit == 0:
            tag = limit.room.name.removeprefix(TAG_PREFIX)
            raise SlotsUnavailable(f"The concurrency limit of tag {tag!r} is 0, so no task with it may run.", TAG_WAIT_SECONDS_MAX)
    wanted = [limit for limit in limits if body.task_run_id not in _holders(tx, limit, now)]
    admit(wanted, 1, "concurrency", now)
    _hold(tx, wanted, body.task_run_id, now)
    return minimal(limits)


def decrement_tag_slots(tx: Transaction, body: TagSlots) -> list[MinimalConcurrencyLimitResponse]:
    """Give back a task run's slots of the limits of the tags."""
    limits = limits_named(tx, [TAG_PREFIX + tag for tag in body.names], clock.now())
    for limit in limits:
        tx.sql_count(
            """DELETE FROM concurrency_slot WHERE limit_id = ? AND lease_id IN
            (SELECT id FROM concurrency_lease WHERE holder_type = 'task_run' AND holder_id = ?)""",
            (limit.key, body.task_run_id.bytes),
        )
    return minimal(limits)


def _row_of(tx: Transaction, name: str, now: datetime) -> Limit | None:
    row = tx.sql_one(f"{LIMITS} WHERE l.name = ?", (clock.to_us(now), name))
    return None if row is None else limit_out(row)


def _found(tx: Transaction, id_or_name: UUID | str, now: datetime) -> Limit:
    try:
        limit = find_limit(tx, id_or_name, now) if isinstance(id_or_name, UUID) else _row_of(tx, id_or_name, now)
    except ObjectNotFound:
        limit = None
    if limit is None or not limit.room.name.startswith(TAG_PREFIX):
        raise ObjectNotFound("Concurrency limit not found")
    return limit


def _holders(tx: Transaction, limit: Limit, now: datetime) -> list[UUID]:
    rows = tx.sql(
        """SELECT e.holder_id FROM concurrency_slot s JOIN concurrency_lease e ON e.id = s.lease_id
        WHERE s.limit_id = ? AND e.holder_type = 'task_run' AND (e.expires IS NULL OR e.expires > ?) ORDER BY e.created""",
        (limit.key, clock.to_us(now)),
    )
    return [UUID(bytes=key) for (key,) in rows]


def _hold(tx: Transaction, limits: Iterable[Limit], task_run_id: UUID, now: datetime) -> None:
    lease_id = ids.new()
    add_lease(tx, lease_id, now, None, ConcurrencyLeaseHolder(type="task_run", id=task_run_id))
    tx.sql_many("INSERT INTO concurrency_slot (limit_id, lease_id, slots) VALUES (?, ?, 1)", [(limit.key, lease_id.bytes) for limit in limits])


def _shown(tx: Transaction, limit: Limit, now: datetime) -> ConcurrencyLimit:
    return ConcurrencyLimit(
        id=limit.id,
        created=limit.created,
        updated=limit.updated,
        tag=limit.room.name.removeprefix(TAG_PREFIX),
        concurrency_limit=limit.room.limit,
        active_slots=_holders(tx, limit, now),
    )


OPERATIONS = {
    endpoints.CREATE_TAG_LIMIT: Operation(create_tag_limit, True),
    endpoints.READ_TAG_LIMIT: Operation(read_tag_limit, False),
    endpoints.READ_TAG_LIMIT_BY_TAG: Operation(read_tag_limit_by_tag, False),
    endpoints.FILTER_TAG_LIMITS: Operation(filter_tag_limits, False),
    endpoints.DELETE_TAG_LIMIT: Operation(delete_tag_limit, True),
    endpoints.DELETE_TAG_LIMIT_BY_TAG: Operation(delete_tag_limit_by_tag, True),
    endpoints.RESET_TAG_LIMIT: Operation(reset_tag_limit, True),
    endpoints.INCREMENT_TAG_SLOTS: Operation(increment_tag_slots, True),
    endpoints.DECREMENT_TAG_SLOTS: Operation(decrement_tag_slots, True),
}
