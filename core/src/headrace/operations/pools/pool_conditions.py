"""Filters over work pools and queues as conditions, and over what waits in them."""

from __future__ import annotations

from headrace.model.work_pools import WorkPoolFilter
from headrace.model.work_queues import WorkQueueFilter
from headrace.operations.conditions import Conditions


def pool_where(wanted: WorkPoolFilter, alias: str) -> Conditions:
    """Return the one condition of a filter over pools."""
    found = Conditions()
    for field in ("id", "name", "type"):
        condition = getattr(wanted, field)
        if condition is not None:
            found.any_of(f"{alias}.{field}", condition.any_)
    return _one(found, wanted.operator)


def queue_where(wanted: WorkQueueFilter, alias: str) -> Conditions:
    """Return the one condition of a filter over queues."""
    found = Conditions()
    if wanted.id:
        found.any_of(f"{alias}.id", wanted.id.any_)
    if wanted.name:
        found.any_of(f"{alias}.name", wanted.name.any_)
        found.starts(f"{alias}.name", wanted.name.startswith_)
    return _one(found, wanted.operator)


def _one(found: Conditions, operator: str) -> Conditions:
    one = Conditions()
    if not found.is_empty:
        one.add(found.joined(operator), *found.values)
    return one


def waits_where(pools: WorkPoolFilter | None, queues: WorkQueueFilter | None, queue_id: str) -> Conditions:
    """Return the condition that what has its queue's id in the column `queue_id` waits in such a pool and queue; none without filters."""
    inner = Conditions()
    for part in (pools and pool_where(pools, "wp"), queues and queue_where(queues, "wq")):
        if part is not None and not part.is_empty:
            inner.add(part.joined(), *part.values)
    found = Conditions()
    if not inner.is_empty:
        text = f"SELECT 1 FROM work_queue wq JOIN work_pool wp ON wp.id = wq.work_pool_id WHERE wq.id = {queue_id} AND {inner.joined()}"
        found.add(f"EXISTS ({text})", *inner.values)
    return found
