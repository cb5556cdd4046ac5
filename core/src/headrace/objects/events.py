"""Emitting events. One place decides how they travel: in this process each is stored before `emit_event` returns; to a server they go by the
outbox, so that nothing waits for the network."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.current_run import run_ids
from headrace.client.recording import spool
from headrace.client.waiting import is_embedded
from headrace.model import clock, ids
from headrace.model.endpoints.events import RECORD_EVENTS
from headrace.model.errors import EventTooLarge
from headrace.model.events import Event, RelatedResource, Resource, SentEvent
from headrace.settings import get_current_settings

logger = logging.getLogger("headrace.events")

FOLLOWS_WITHIN = timedelta(minutes=5)


def emit_event(
    event: str,
    resource: Mapping[str, str] | Resource,
    occurred: datetime | None = None,
    related: Iterable[Mapping[str, str] | RelatedResource] | None = None,
    payload: dict[str, Any] | None = None,
    id: UUID | None = None,
    follows: Event | None = None,
) -> Event:
    """Store an event and return it. With a server, it is on disk when this returns and sent at once in the background.

    `resource` is a map of labels with at least `prefect.resource.id`; each of `related` has `prefect.resource.role` too. The current flow
    run and task run are added to them, unless they are there already. `follows` is noted only when that event is at most five minutes away.
    Raises a validation error for an event that is not one, `InvalidRequest` for more labels or related resources than the settings
    `server.events.maximum_labels_per_resource` (500) and `maximum_related_resources` (100) allow, and `EventTooLarge` for more bytes than
    `maximum_size_bytes` (1.5 MB). They count here as they are set for this program; a server goes by its own.
    """
    limits = get_current_settings().server.events
    others = [one if isinstance(one, RelatedResource) else RelatedResource(dict(one)) for one in related or ()]
    made = SentEvent(
        event=event,
        resource=resource if isinstance(resource, Resource) else Resource(dict(resource)),
        occurred=occurred or clock.now(),
        related=_with_current_runs(others, limits.maximum_related_resources),
        payload=payload or {},
        id=id or ids.new(),
    )
    if follows is not None and abs(made.occurred - follows.occurred) < FOLLOWS_WITHIN:
        made.follows = follows.id
    made.check_limits(limits.maximum_labels_per_resource, limits.maximum_related_resources)
    size = made.size_bytes
    if size > limits.maximum_size_bytes:
        raise EventTooLarge(size, limits.maximum_size_bytes)
    client = current_client()
    if is_embedded(client):
        drive(client.call(RECORD_EVENTS, [made]))
    elif not spool().append_event(made.model_dump(mode="json"), get_current_settings().events.worker_max_queue_size):
        logger.warning("The event %r is dropped: HEADRACE_EVENTS_WORKER_MAX_QUEUE_SIZE others wait to be sent already.", made.event)
    return made


def _with_current_runs(related: list[RelatedResource], related_max: int) -> list[RelatedResource]:
    known = {resource.id for resource in related}
    for kind, run_id in zip(("flow-run", "task-run"), run_ids(), strict=True):
        name = f"prefect.{kind}.{run_id}"
        if run_id is not None and name not in known and len(related) < related_max:
            related.append(RelatedResource({"prefect.resource.id": name, "prefect.resource.role": kind}))
    return related
