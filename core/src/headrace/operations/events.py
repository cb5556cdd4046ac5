"""Events: recorded once each, listed page by page, pruned when they are old."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from headrace.model import clock
from headrace.model.base import Model
from headrace.model.endpoints import events as endpoints
from headrace.model.errors import InvalidRequest
from headrace.model.event_filters import EventFilter, EventOrder, EventPage, FilterEvents
from headrace.model.events import ReceivedEvent, RelatedResource, Resource, SentEvent
from headrace.operations import task_recording
from headrace.operations.emitting import EVENTS_TOPIC, labelled
from headrace.operations.encoding import build
from headrace.operations.event_conditions import event_conditions
from headrace.operations.event_counts import count_events
from headrace.operations.table import Operation
from headrace.settings import get_current_settings
from headrace.store.codec import id_in, id_out, json_in, json_out, microseconds, moment
from headrace.store.database import Row, Transaction
from headrace.store.statements import events as statements

logger = logging.getLogger("headrace.events")

IDS_A_QUERY = 500


# --- recording --------------------------------------------------------------------------------------------------------


def record_events(tx: Transaction, body: Sequence[SentEvent]) -> None:
    """Store and publish each event that is new, and bring task runs up to date with what their clients tell of them.

    An event that is larger than the setting `server.events.maximum_size_bytes` is left out, with a warning.
    """
    known = _known(tx, [event.id.bytes for event in body])
    size_max = get_current_settings().server.events.maximum_size_bytes
    received = clock.now_us()
    received_at = moment(received)
    rows: list[tuple[Any, ...]] = []
    related_rows: list[tuple[Any, ...]] = []
    published: list[ReceivedEvent] = []
    for event in body:
        key = event.id.bytes
        if key in known:
            continue
        known.add(key)
        resource, payload = json_in(event.resource.root), json_in(event.payload)
        related = [(key, n, one.id, one.role, json_in(one.root)) for n, one in enumerate(event.related)]
        assert resource is not None
        assert payload is not None
        if len(resource) + len(payload) + sum(len(row[4] or "") for row in related) > size_max // 4 and event.size_bytes > size_max:
            logger.warning("The event %s (%s) has %s bytes and is not stored: at most %s are.", event.id, event.event, event.size_bytes, size_max)
            continue
        rows.append((key, microseconds(event.occurred), received, event.event, event.resource.id, resource, payload, id_in(event.follows)))
        related_rows += related
        published.append(build(ReceivedEvent, {**event.__dict__, "received": received_at}))
    if not rows:
        return
    tx.sql_many(statements.INSERT_EVENT, rows)
    if related_rows:
        tx.sql_many(statements.INSERT_RELATED, related_rows)
    task_recording.record_task_runs(tx, published, received)
    if tx.caller.is_server:
        tx.publish(EVENTS_TOPIC, published)


def _known(tx: Transaction, keys: Sequence[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for start in range(0, len(keys), IDS_A_QUERY):
        some = keys[start : start + IDS_A_QUERY]
        found.update(key for (key,) in tx.sql(f"SELECT id FROM events WHERE id IN ({', '.join('?' * len(some))})", some))
    return found


# --- listing ----------------------------------------------------------------------------------------------------------


class _Place(Model):
    """Where a list goes on: behind one event, with the count of the first page."""

    filter: EventFilter
    count: int
    page_size: int
    occurred: int
    id: UUID

    def token(self) -> str:
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode()


def filter_events(tx: Transaction, body: FilterEvents) -> EventPage:
    """Return the newest (or oldest) events that match, and how many there are in all."""
    return query_events(tx, body.filter or EventFilter(), body.limit)


def query_events(tx: Transaction, wanted: EventFilter, page_size: int) -> EventPage:
    """Return the first page of events that match. For a caller that has no address `next_page` is the token alone."""
    table, values = _matching(wanted)
    count = tx.sql(f"SELECT COUNT(*) FROM {table}", values)[0][0]
    return _page(tx, wanted, page_size, count, None)


def read_next_events(tx: Transaction, *, page_token: str = "") -> EventPage:
    """Return the page after another. Raises `InvalidRequest` for a token that no page gave."""
    try:
        place = _Place.model_validate_json(base64.urlsafe_b64decode(page_token))
    except (binascii.Error, ValidationError, ValueError) as error:
        raise InvalidRequest("Forbidden", status=403) from error
    return _page(tx, place.filter, place.page_size, place.count, place)


def _page(tx: Transaction, wanted: EventFilter, page_size: int, count: int, behind: _Place | None) -> EventPage:
    table, values = _matching(wanted)
    is_newest_first = wanted.order is EventOrder.DESC
    order = "DESC" if is_newest_first else "ASC"
    where = "TRUE"
    if behind is not None:
        where = f"(e.occurred, e.id) {'<' if is_newest_first else '>'} (?, ?)"
        values = [*values, behind.occurred, behind.id.bytes]
    columns = ", ".join(f"e.{name}" for name in statements.EVENT_COLUMNS)
    rows = tx.sql(
        f"SELECT {columns} FROM {table} AND {where} ORDER BY e.occurred {order}, e.id {order} LIMIT ?",
        (*values, page_size + 1),
    )
    shown = rows[:page_size]
    token = None
    if shown and len(rows) > page_size:
        token = _Place(filter=wanted, count=count, page_size=page_size, occurred=shown[-1][1], id=UUID(bytes=shown[-1][0])).token()
    if token is not None and tx.caller.base_url is not None:
        token = f"{tx.caller.base_url}/events/filter/next?page-token={token}"
    return EventPage(events=_events(tx, shown), total=count, next_page=token)


def _matching(wanted: EventFilter) -> tuple[str, list[Any]]:
    """Return the matching events as what follows FROM, known as `e`, with a WHERE."""
    where = event_conditions(wanted)
    if wanted.resource is None or not wanted.resource.distinct:
        return f"events e WHERE {where.joined()}", where.values
    ranked = (
        "SELECT e.*, ROW_NUMBER() OVER (PARTITION BY e.resource_id ORDER BY e.occurred DESC, e.id DESC) AS place FROM events e"
        f" WHERE {where.joined()}"
    )
    return f"({ranked}) e WHERE e.place = 1", where.values


def _events(tx: Transaction, rows: Sequence[Row]) -> list[ReceivedEvent]:
    if not rows:
        return []
    related: dict[bytes, list[RelatedResource]] = {row[0]: [] for row in rows}
    for key, labels in tx.sql(
        f"SELECT event_id, labels FROM event_resources WHERE event_id IN ({', '.join('?' * len(rows))}) ORDER BY event_id, position",
        [row[0] for row in rows],
    ):
        related[key].append(labelled(RelatedResource, json_out(labels)))
    return [
        build(
            ReceivedEvent,
            {
                "occurred": moment(occurred),
                "event": event,
                "resource": labelled(Resource, json_out(resource)),
                "related": related[key],
                "payload": json_out(payload),
                "id": UUID(bytes=key),
                "follows": id_out(follows),
                "received": moment(received),
            },
        )
        for key, occurred, received, event, _, resource, payload, follows in rows
    ]


OPERATIONS = {
    endpoints.RECORD_EVENTS: Operation(record_events, writes=True),
    endpoints.FILTER_EVENTS: Operation(filter_events, writes=False),
    endpoints.READ_NEXT_EVENTS: Operation(read_next_events, writes=False),
    endpoints.COUNT_EVENTS: Operation(count_events, writes=False),
}
