"""Filters over events, and the bodies of their lists and counts. `includes` is for events at hand what `operations.events` asks of the database.

Fields of a filter are joined with AND; an empty list is no condition.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from pydantic import Field

from headrace.model import clock
from headrace.model.base import Action, Body, Model
from headrace.model.events import Event, Moment, ReceivedEvent, RelatedResource, Resource, ResourceSpecification
from headrace.model.text_search import is_found

PAGE_EVENTS_MAX = 50
LOOKED_BACK_BY_DEFAULT = timedelta(days=180)
QUERY_LENGTH_MAX = 200


class EventOrder(StrEnum):
    """Oldest or newest first."""

    ASC = "ASC"
    DESC = "DESC"


class EventDataFilter(Action):
    """What the filters of events share."""

    def get_filters(self) -> list[EventDataFilter]:
        """Return the filters that this one is made of."""
        values = [getattr(self, name) for name in type(self).model_fields]
        parts = [one for value in values for one in (cast("list[Any]", value) if isinstance(value, list) else [value])]
        return [one for one in parts if isinstance(one, EventDataFilter)]

    def includes(self, event: Event) -> bool:
        """Say whether an event matches."""
        return all(one.includes(event) for one in self.get_filters())

    def excludes(self, event: Event) -> bool:
        """Say whether an event does not match."""
        return not self.includes(event)


def _start_of_search() -> datetime:
    return clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - LOOKED_BACK_BY_DEFAULT


class EventOccurredFilter(EventDataFilter):
    """By time, both ends included: from the start of the day 180 days ago until now, unless it says otherwise."""

    since: Moment = Field(default_factory=_start_of_search)
    until: Moment = Field(default_factory=clock.now)

    def includes(self, event: Event) -> bool:
        """Say whether an event matches."""
        return self.since <= event.occurred <= self.until

    def clamp(self, max_duration: timedelta) -> None:
        """Look back no further than `max_duration` from now."""
        self.since = max(self.since, clock.now() - max_duration)


class EventNameFilter(EventDataFilter):
    """By name: exact ones, or beginnings."""

    prefix: list[str] | None = None
    exclude_prefix: list[str] | None = None
    name: list[str] | None = None
    exclude_name: list[str] | None = None

    def includes(self, event: Event) -> bool:
        """Say whether an event matches."""
        name = event.event
        return (
            (not self.prefix or name.startswith(tuple(self.prefix)))
            and not (self.exclude_prefix and name.startswith(tuple(self.exclude_prefix)))
            and (not self.name or name in self.name)
            and not (self.exclude_name and name in self.exclude_name)
        )


class _ResourceFilter(EventDataFilter):
    id: list[str] | None = None
    id_prefix: list[str] | None = None
    labels: ResourceSpecification | None = None

    def includes_resource(self, resource: Resource) -> bool:
        """Say whether a resource matches."""
        return (
            (not self.id or resource.id in self.id)
            and (not self.id_prefix or resource.id.startswith(tuple(self.id_prefix)))
            and (self.labels is None or self.labels.matches(resource))
        )


class EventResourceFilter(_ResourceFilter):
    """By the resource: its id, the beginning of its id, its labels. `distinct` keeps the newest event of each resource alone."""

    distinct: bool = False

    def includes(self, event: Event) -> bool:
        """Say whether an event matches. What is distinct only a whole list can tell."""
        return self.includes_resource(event.resource)


class EventRelatedFilter(EventDataFilter):
    """By the related resources: one of them has all of this. `resources_in_roles` are pairs of id and role."""

    id: list[str] | None = None
    role: list[str] | None = None
    resources_in_roles: list[tuple[str, str]] | None = None
    labels: ResourceSpecification | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return not (self.id or self.role or self.resources_in_roles or self.labels)

    def includes(self, event: Event) -> bool:
        """Say whether an event matches."""
        return self.is_empty or any(self._includes(related) for related in event.related)

    def _includes(self, related: RelatedResource) -> bool:
        return (
            (not self.id or related.id in self.id)
            and (not self.role or related.role in self.role)
            and (not self.resources_in_roles or (related.id, related.role) in self.resources_in_roles)
            and (self.labels is None or self.labels.matches(related))
        )


class EventAnyResourceFilter(_ResourceFilter):
    """By the resource and the related ones: one of them has all of this."""

    def includes(self, event: Event) -> bool:
        """Say whether an event matches."""
        return any(self.includes_resource(resource) for resource in event.involved_resources)


class EventIDFilter(EventDataFilter):
    """By id: one of several."""

    id: list[UUID] | None = None

    def includes(self, event: Event) -> bool:
        """Say whether an event matches."""
        return not self.id or event.id in self.id


class EventTextFilter(EventDataFilter):
    """By words in the name, the labels and the payload, whatever the case.

    A blank means OR, `-word` or `!word` excludes, `+word` requires, quotation marks keep a phrase together.
    """

    query: str = Field(max_length=QUERY_LENGTH_MAX)

    def includes(self, event: Event) -> bool:
        """Say whether an event matches."""
        texts = [event.event, *(_json(resource.root) for resource in event.involved_resources), _json(event.payload)]
        return is_found(self.query, lambda word: any(as_in_json(word) in text.lower() for text in texts))


def as_in_json(word: str) -> str:
    """Return a word as it stands inside a JSON string."""
    return json.dumps(word, ensure_ascii=False)[1:-1]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


class EventFilter(EventDataFilter):
    """Which events. Several filters in `related` or `any_resource` must all match, each by any resource."""

    occurred: EventOccurredFilter = Field(default_factory=EventOccurredFilter)
    event: EventNameFilter | None = None
    resource: EventResourceFilter | None = None
    related: EventRelatedFilter | list[EventRelatedFilter] | None = None
    any_resource: EventAnyResourceFilter | list[EventAnyResourceFilter] | None = None
    id: EventIDFilter = Field(default_factory=EventIDFilter)
    text: EventTextFilter | None = None
    order: EventOrder = EventOrder.DESC


class FilterEvents(Body):
    """Body of the list of events."""

    filter: EventFilter | None = None
    limit: int = Field(default=PAGE_EVENTS_MAX, ge=0, le=PAGE_EVENTS_MAX)


class EventPage(Model):
    """Some of the events that match, how many there are, and where the next ones are, if there are more."""

    events: list[ReceivedEvent]
    total: int
    next_page: str | None = None


class Countable(StrEnum):
    """By what events are counted."""

    day = "day"
    time = "time"
    event = "event"
    resource = "resource"


class TimeUnit(StrEnum):
    """What intervals are measured in."""

    week = "week"
    day = "day"
    hour = "hour"
    minute = "minute"
    second = "second"

    def as_timedelta(self, interval: float) -> timedelta:
        """Return the length of so many of these."""
        return timedelta(**{f"{self.value}s": interval})


class CountEvents(Body):
    """Body of counts of events: which events, and for counts by time how long the intervals are."""

    filter: EventFilter
    time_unit: TimeUnit = TimeUnit.day
    time_interval: float = Field(default=1.0, ge=0.01)


class EventCount(Model):
    """How many events of one kind, resource or interval there are, and between which times."""

    value: str
    label: str
    count: int
    start_time: datetime
    end_time: datetime
