"""Events: recorded once each, listed."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock
from headrace.model.endpoints import events as endpoints
from headrace.model.events import (
    EventFilter,
    EventOrder,
    EventPage,
    EventResourceFilter,
    FilterEvents,
    ReceivedEvent,
    RelatedResource,
    Resource,
    SentEvent,
)
from headrace.operations.conditions import Conditions
from headrace.operations.table import Operation
from headrace.store.codec import id_in, id_out, json_in, json_out, microseconds
from headrace.store.database import Row, Transaction
from headrace.store.statements import events as statements


def record_events(tx: Transaction, body: list[SentEvent]) -> None:
    """Store each event and the resources that it involves. An event that is stored already is left as it is."""
    received = clock.now_us()
    rows: list[tuple[object, ...]] = []
    related: list[tuple[object, ...]] = []
    for event in body:
        key = event.id.bytes
        rows.append(
            (
                key,
                microseconds(event.occurred),
                received,
                event.event,
                event.resource.id,
                json_in(event.resource.root),
                json_in(event.payload),
                id_in(event.follows),
            )
        )
        related += [(key, n, one.id, one.role, json_in(one.root)) for n, one in enumerate(event.related)]
    tx.sql_many(statements.INSERT_EVENT, rows)
    tx.sql_many(statements.INSERT_RELATED, related)


def _event(row: Row, related: list[Row]) -> ReceivedEvent:
    return ReceivedEvent(
        id=UUID(bytes=row[0]),
        occurred=clock.from_us(row[1]),
        received=clock.from_us(row[2]),
        event=row[3],
        resource=Resource(json_out(row[4])),
        related=[RelatedResource(json_out(one[0])) for one in related],
        payload=json_out(row[5]),
        follows=id_out(row[6]),
    )


def _resource(wanted: EventResourceFilter, column: str) -> Conditions:
    found = Conditions()
    found.any_of(column, wanted.id)
    found.starts(column, wanted.id_prefix)
    return found


def _conditions(wanted: EventFilter) -> Conditions:
    found = Conditions()
    if wanted.occurred and wanted.occurred.since:
        found.add("e.occurred >= ?", clock.to_us(wanted.occurred.since))
    if wanted.occurred and wanted.occurred.until:
        found.add("e.occurred <= ?", clock.to_us(wanted.occurred.until))
    if wanted.event:
        found.starts("e.event", wanted.event.prefix)
        found.starts("e.event", wanted.event.exclude_prefix, negated=True)
        found.any_of("e.event", wanted.event.name)
        found.any_of("e.event", wanted.event.exclude_name, negated=True)
    if wanted.resource:
        primary = _resource(wanted.resource, "e.resource_id")
        found.add(primary.joined(), *primary.values)
    if wanted.any_resource:
        involved = _resource(wanted.any_resource, "r.resource_id")
        primary = _resource(wanted.any_resource, "e.resource_id")
        found.add(
            f"({primary.joined()} OR EXISTS (SELECT 1 FROM event_resources r WHERE r.event_id = e.id AND {involved.joined()}))",
            *primary.values,
            *involved.values,
        )
    if wanted.id:
        found.any_of("e.id", wanted.id.id)
    return found


def filter_events(tx: Transaction, body: FilterEvents) -> EventPage:
    """Return the newest (or oldest) events that match, and how many there are in all."""
    wanted = body.filter or EventFilter()
    where = _conditions(wanted)
    order = "DESC" if wanted.order is EventOrder.DESC else "ASC"
    rows = tx.sql(
        f"""SELECT e.id, e.occurred, e.received, e.event, e.resource, e.payload, e.follows FROM events e
        WHERE {where.joined()} ORDER BY e.occurred {order}, e.id {order} LIMIT ?""",
        (*where.values, body.limit),
    )
    total = tx.sql(f"SELECT COUNT(*) FROM events e WHERE {where.joined()}", where.values)[0][0]
    return EventPage(
        events=[_event(row, tx.sql("SELECT labels FROM event_resources WHERE event_id = ? ORDER BY position", (row[0],))) for row in rows],
        total=total,
    )


OPERATIONS = {
    endpoints.RECORD_EVENTS: Operation(record_events, writes=True),
    endpoints.FILTER_EVENTS: Operation(filter_events, writes=False),
}
