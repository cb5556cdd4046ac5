"""Emitting: the events that tell of what an operation did, stored in its own transaction and published when that is committed.

Only a server tells: in an embedded process nobody listens, and the rows say the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from headrace.model import clock, ids
from headrace.model.events import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, ReceivedEvent, RelatedResource, Resource
from headrace.operations.runs.encoding import build
from headrace.settings import get_current_settings
from headrace.store.codec import id_in, microseconds, moment
from headrace.store.database import Transaction
from headrace.store.statements import events as statements

EVENTS_TOPIC = "events"
"""What is published: lists of `ReceivedEvent`, in the order of their storing."""

BYTES_A_CHARACTER_MAX = 4

Labels = Mapping[str, str]

logger = logging.getLogger("headrace.events")


def emit(
    tx: Transaction,
    event: str,
    resource: Labels,
    related: Sequence[Labels] = (),
    payload: Mapping[str, Any] | None = None,
    *,
    id: UUID | None = None,
    occurred: datetime | None = None,
    follows: UUID | None = None,
) -> UUID | None:
    """Store one event and publish it after the commit; return its id. Does nothing, and returns None, unless a server is at work.

    `resource` and `related` are as `resource()` and `related_resource()` make them; `payload` is anything that JSON can hold, times and
    ids included. `occurred` is now unless given. Callers that must read more to say what happened ask `tx.caller.is_server` first.
    """
    if not tx.caller.is_server:
        return None
    event_id = id or ids.new()
    now = clock.now_us()
    moment_us = now if occurred is None else microseconds(occurred)
    store(tx, [made(event_id, event, moment_us, now, resource, as_related(related), payload or {}, follows)])
    return event_id


def made(
    id: UUID,
    event: str,
    occurred: int,
    received: int,
    resource: Labels,
    related: list[RelatedResource],
    payload: Mapping[str, Any],
    follows: UUID | None,
) -> ReceivedEvent:
    """Return an event of values that are known to be right; times are microseconds. Events may share what they are made of."""
    return build(
        ReceivedEvent,
        {
            "occurred": moment(occurred),
            "event": event,
            "resource": build(Resource, {"root": resource}),
            "related": related,
            "payload": payload,
            "id": id,
            "follows": follows,
            "received": moment(received),
        },
    )


def as_related(labels: Iterable[Labels]) -> list[RelatedResource]:
    """Return related resources of labels that are known to be right."""
    return [build(RelatedResource, {"root": one}) for one in labels]


def store(tx: Transaction, events: Sequence[ReceivedEvent]) -> None:
    """Store events, and publish them if a server is at work; one whose service `EventPersister` is disabled publishes them only.

    One that is larger than the setting `server.events.maximum_size_bytes` is left out, with a warning.
    """
    size_max = get_current_settings().server.events.maximum_size_bytes
    rows: list[tuple[Any, ...]] = []
    related_rows: list[tuple[Any, ...]] = []
    stored: list[ReceivedEvent] = []
    encoded: dict[int, str] = {}  # related resources that events share, by identity
    for event in events:
        key = event.id.bytes
        labels = event.resource.root
        resource, payload = encode(labels), encode(event.payload)
        related: list[tuple[bytes, int, str, str, str]] = []
        for n, one in enumerate(event.related):
            text = encoded.get(id(one))
            if text is None:
                text = encoded[id(one)] = encode(one.root)
            related.append((key, n, one.root[RESOURCE_ID], one.root[RESOURCE_ROLE], text))
        characters = len(resource) + len(payload) + sum(len(row[4]) for row in related)
        if characters * BYTES_A_CHARACTER_MAX > size_max and event.size_bytes > size_max:
            logger.warning("The event %s (%s) is larger than %s bytes and is not stored.", event.id, event.event, size_max)
            continue
        occurred, received = microseconds(event.occurred), microseconds(event.received)
        rows.append((key, occurred, received, event.event, labels[RESOURCE_ID], resource, payload, id_in(event.follows)))
        related_rows += related
        stored.append(event)
    if not tx.caller.is_server or get_current_settings().server.services.event_persister.enabled:
        tx.sql_many(statements.INSERT_EVENT, rows)
        if related_rows:
            tx.sql_many(statements.INSERT_RELATED, related_rows)
    if stored and tx.caller.is_server:
        tx.publish(EVENTS_TOPIC, stored)


def encode(value: Any) -> str:
    """Say anything in compact JSON: what JSON has no word for as its text. Several times faster than the standard library."""
    return to_json(value, fallback=str).decode()


def resource(kind: str, id: UUID | str, name: str | None = None, **labels: str) -> dict[str, str]:
    """Return the labels of `prefect.<kind>.<id>`; `labels` are further ones, with `_` for `-` and below `prefect.`."""
    found = {RESOURCE_ID: f"prefect.{kind}.{id}"}
    if name is not None:
        found[RESOURCE_NAME] = name
    found.update({f"prefect.{key.replace('_', '-')}": value for key, value in labels.items()})
    return found


def related_resource(role: str, kind: str, id: UUID | str, name: str | None = None) -> dict[str, str]:
    """Return the labels of `prefect.<kind>.<id>` in the role of `role`."""
    found = {RESOURCE_ID: f"prefect.{kind}.{id}", RESOURCE_ROLE: role}
    if name is not None:
        found[RESOURCE_NAME] = name
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of an `updated` event: which fields of `after` differ from `before`, from what and to what."""
    updates = {key: {"from": before.get(key), "to": value} for key, value in after.items() if before.get(key) != value}
    return {"updated_fields": list(updates), "updates": updates}
