"""Events: recorded once each, listed page by page, pruned when they are old."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from headrace.model import clock
from headrace.model.base import Model
from headrace.model.endpoints import events as endpoints
from headrace.model.errors import InvalidRequest
from headrace.model.event_filters import EventFilter, EventOrder, EventPage, FilterEvents
from headrace.model.events import ReceivedEvent, SentEvent
from headrace.operations.events import emitting, task_recording
from headrace.operations.events.event_conditions import event_conditions
from headrace.operations.events.event_counts import count_events
from headrace.operations.runs.encoding import build
from headrace.operations.table import Operation
from headrace.operations.upkeep import signs_of_life
from headrace.settings import get_current_settings
from headrace.store.codec import id_out, json_out, microseconds, moment
from headrace.store.database import Row, Transaction
from headrace.store.statements import events as statements

IDS_A_QUERY = 500


# --- recording --------------------------------------------------------------------------------------------------------


def record_events(tx: Transaction, body: Sequence[SentEvent]) -> None:
    """Store and publish each event that is new, and bring task runs up to date with what their clients tell of them.

    Raises `InvalidRequest`, and stores none, when one is beyond the settings `server.events.maximum_…`.
    """
    limits = get_current_settings().server.events
    for event in body:
        event.check_limits(limits.maximum_labels_per_resource, limits.maximum_related_resources)
    known = _known(tx, [event.id.bytes for event in body])
    received = moment(clock.now_us())
    new: dict[UUID, ReceivedEvent] = {
        event.id: build(ReceivedEvent, {**event.__dict__, "received": received}) for event in body if event.id.bytes not in known
    }
    if new:
        emitting.store(tx, list(new.values()))
        if not tx.caller.is_server or get_current_settings().server.services.task_run_recorder.enabled:
            task_recording.record_task_runs(tx, new.values(), microseconds(received))
        signs_of_life.note_heartbeats(tx, new.values(), microseconds(received))


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
    return EventPage(events=events_out(tx, shown), total=count, next_page=token)


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


def events_out(tx: Transaction, rows: Sequence[Row]) -> list[ReceivedEvent]:
    """Read rows of `EVENT_COLUMNS`, with the related resources of each."""
    if not rows:
        return []
    related: dict[bytes, list[dict[str, str]]] = {row[0]: [] for row in rows}
    for key, labels in tx.sql(
        f"SELECT event_id, labels FROM event_resources WHERE event_id IN ({', '.join('?' * len(rows))}) ORDER BY event_id, position",
        [row[0] for row in rows],
    ):
        related[key].append(json_out(labels))
    return [
        emitting.made(
            UUID(bytes=key), event, occurred, received, json_out(resource), emitting.as_related(related[key]), json_out(payload), id_out(follows)
        )
        for key, occurred, received, event, _, resource, payload, follows in rows
    ]


OPERATIONS = {
    endpoints.RECORD_EVENTS: Operation(record_events, writes=True),
    endpoints.FILTER_EVENTS: Operation(filter_events, writes=False),
    endpoints.READ_NEXT_EVENTS: Operation(read_next_events, writes=False),
    endpoints.COUNT_EVENTS: Operation(count_events, writes=False),
}
