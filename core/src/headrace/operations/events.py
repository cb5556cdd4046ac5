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
from headrace.store.codec import id_in, id_out, json_in, json_out
from headrace.store.database import Row, Transaction


def record_events(tx: Transaction, body: list[SentEvent]) -> None:
    """Store each event and the resources that it involves. An event that is stored already is left as it is."""
    received = clock.to_us(clock.now())
    for event in body:
        stored = tx.sql_count(
            """INSERT INTO events (id, occurred, received, event, resource_id, resource, related, payload, follows)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
            (
                event.id.bytes,
                clock.to_us(event.occurred),
                received,
                event.event,
                event.resource.id,
                json_in(event.resource.root),
                json_in([related.root for related in event.related]),
                json_in(event.payload),
                id_in(event.follows),
            ),
        )
        if stored:
            involved = [(event.resource.id, ""), *((related.id, related.role) for related in event.related)]
            tx.sql_many(
                "INSERT INTO event_resources (resource_id, event_id, role) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(resource_id, event.id.bytes, role) for resource_id, role in involved],
            )


def _event(row: Row) -> ReceivedEvent:
    return ReceivedEvent(
        id=UUID(bytes=row[0]),
        occurred=clock.from_us(row[1]),
        received=clock.from_us(row[2]),
        event=row[3],
        resource=Resource(json_out(row[4])),
        related=[RelatedResource(labels) for labels in json_out(row[5])],
        payload=json_out(row[6]),
        follows=id_out(row[7]),
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
        found.add(f"EXISTS (SELECT 1 FROM event_resources r WHERE r.event_id = e.id AND {involved.joined()})", *involved.values)
    if wanted.id:
        found.any_of("e.id", wanted.id.id)
    return found


def filter_events(tx: Transaction, body: FilterEvents) -> EventPage:
    """Return the newest (or oldest) events that match, and how many there are in all."""
    wanted = body.filter or EventFilter()
    where = _conditions(wanted)
    order = "DESC" if wanted.order is EventOrder.DESC else "ASC"
    rows = tx.sql(
        f"""SELECT e.id, e.occurred, e.received, e.event, e.resource, e.related, e.payload, e.follows FROM events e
        WHERE {where.joined()} ORDER BY e.occurred {order}, e.id {order} LIMIT ?""",
        (*where.values, body.limit),
    )
    total = tx.sql(f"SELECT COUNT(*) FROM events e WHERE {where.joined()}", where.values)[0][0]
    return EventPage(events=[_event(row) for row in rows], total=total)


OPERATIONS = {
    endpoints.RECORD_EVENTS: Operation(record_events, writes=True),
    endpoints.FILTER_EVENTS: Operation(filter_events, writes=False),
}
