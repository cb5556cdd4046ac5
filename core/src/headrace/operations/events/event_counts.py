"""Events counted by name, by resource, or in intervals of time."""

from __future__ import annotations

from headrace.model.errors import InvalidRequest
from headrace.model.event_filters import Countable, CountEvents, EventCount, TimeUnit
from headrace.model.events import RESOURCE_NAME
from headrace.operations.events.event_conditions import event_conditions
from headrace.store.codec import json_out, microseconds, moment
from headrace.store.database import Transaction

INTERVALS_MAX = 1000
KINDS_MAX = 1000
ANCHOR_US = 1_711_929_600_000_000
"""2024-04-01T00:00:00Z, a Monday: every interval is whole intervals away from it."""


def count_events(tx: Transaction, body: CountEvents, *, countable: str) -> list[EventCount]:
    """Count the events that match. Raises `InvalidRequest` when there would be too many intervals, or for what cannot be counted by."""
    match countable:
        case Countable.day:
            return _by_time(tx, body, TimeUnit.day, 1)
        case Countable.time:
            return _by_time(tx, body, body.time_unit, body.time_interval)
        case Countable.event:
            return _by_event(tx, body)
        case Countable.resource:
            return _by_resource(tx, body)
        case _:
            raise InvalidRequest(f"Events are counted by {', '.join(Countable)}, not by {countable!r}.")


def _by_time(tx: Transaction, body: CountEvents, unit: TimeUnit, interval: float) -> list[EventCount]:
    """Return every interval from the one that `since` lies in to the one of `until`, empty ones too."""
    length = microseconds(moment(0) + unit.as_timedelta(interval))
    shift = ANCHOR_US % length
    first = (microseconds(body.filter.occurred.since) - shift) // length
    last = (microseconds(body.filter.occurred.until) - shift) // length
    if last - first + 1 > INTERVALS_MAX:
        raise InvalidRequest(
            f"The given interval would create {last - first + 1} buckets, which is too many. Please increase the interval or reduce the time"
            f" range to produce {INTERVALS_MAX} buckets or fewer."
        )
    where = event_conditions(body.filter)
    start = first * length + shift
    counted = dict(
        tx.sql(
            f"SELECT (e.occurred - {start:d}) / {length:d} AS n, COUNT(*) FROM events e WHERE {where.joined()} GROUP BY n",
            where.values,
        )
    )
    return [
        EventCount(
            value=str(n),
            label=moment(start + n * length).isoformat(),
            count=counted.get(n, 0),
            start_time=moment(start + n * length),
            end_time=moment(start + (n + 1) * length - 1),
        )
        for n in range(last - first + 1)
    ]


def _by_event(tx: Transaction, body: CountEvents) -> list[EventCount]:
    where = event_conditions(body.filter)
    found = tx.sql(
        f"SELECT e.event, COUNT(*) AS n, MIN(e.occurred), MAX(e.occurred) FROM events e WHERE {where.joined()}"
        f" GROUP BY e.event ORDER BY n DESC, e.event LIMIT {KINDS_MAX}",
        where.values,
    )
    return [EventCount(value=name, label=name, count=n, start_time=moment(first), end_time=moment(last)) for name, n, first, last in found]


def _by_resource(tx: Transaction, body: CountEvents) -> list[EventCount]:
    """The label of a resource is the name that its newest event gives it, if it does."""
    where = event_conditions(body.filter)
    found = tx.sql(
        f"SELECT c.id, c.n, c.first, c.last, (SELECT x.resource FROM events x WHERE x.resource_id = c.id AND x.occurred = c.last LIMIT 1)"
        " FROM (SELECT e.resource_id AS id, COUNT(*) AS n, MIN(e.occurred) AS first, MAX(e.occurred) AS last FROM events e"
        f" WHERE {where.joined()} GROUP BY e.resource_id) c ORDER BY c.n DESC, c.id LIMIT {KINDS_MAX}",
        where.values,
    )
    return [
        EventCount(value=id, label=json_out(labels).get(RESOURCE_NAME) or id, count=n, start_time=moment(first), end_time=moment(last))
        for id, n, first, last, labels in found
    ]
