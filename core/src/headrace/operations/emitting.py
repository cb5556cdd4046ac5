"""Emitting: the events that tell of what an operation did, stored in its own transaction and published when that is committed.

Only a server tells: in an embedded process nobody listens, and the rows say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.events import RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE, ReceivedEvent, RelatedResource, Resource
from headrace.operations.encoding import build
from headrace.store.codec import id_in, json_in, microseconds, moment
from headrace.store.database import Transaction
from headrace.store.statements import events as statements

EVENTS_TOPIC = "events"
"""What is published: lists of `ReceivedEvent`, in the order of their storing."""

Labels = Mapping[str, str]
R = TypeVar("R", bound=Resource)


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
    store(tx, event_id, event, now if occurred is None else microseconds(occurred), now, resource, related, payload or {}, follows)
    return event_id


def store(
    tx: Transaction,
    id: UUID,
    event: str,
    occurred: int,
    received: int,
    resource: Labels,
    related: Sequence[Labels],
    payload: Mapping[str, Any],
    follows: UUID | None,
) -> None:
    """Store and publish one new event; times are microseconds."""
    key = id.bytes
    tx.sql(statements.INSERT_EVENT, (key, occurred, received, event, resource[RESOURCE_ID], json_in(resource), json_in(payload), id_in(follows)))
    if related:
        tx.sql_many(
            statements.INSERT_RELATED,
            [(key, n, labels[RESOURCE_ID], labels[RESOURCE_ROLE], json_in(labels)) for n, labels in enumerate(related)],
        )
    tx.publish(
        EVENTS_TOPIC,
        [
            build(
                ReceivedEvent,
                {
                    "occurred": moment(occurred),
                    "event": event,
                    "resource": labelled(Resource, resource),
                    "related": [labelled(RelatedResource, labels) for labels in related],
                    "payload": payload,
                    "id": id,
                    "follows": follows,
                    "received": moment(received),
                },
            )
        ],
    )


def labelled(cls: type[R], labels: Labels) -> R:
    """Make a resource of labels that are known to be right."""
    return build(cls, {"root": labels})


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
