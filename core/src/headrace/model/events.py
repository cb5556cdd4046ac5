"""Events: something that happened to a resource, with the resources that were involved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field, RootModel, model_validator

from headrace.model import clock, ids
from headrace.model.base import Action, Model

EVENT_NAME_LENGTH_MAX = 1024
RESOURCE_LABELS_MAX = 500
RELATED_RESOURCES_MAX = 100
EVENT_BYTES_MAX = 1_500_000
PAGE_EVENTS_MAX = 50

RESOURCE_ID = "prefect.resource.id"
RESOURCE_NAME = "prefect.resource.name"
RESOURCE_ROLE = "prefect.resource.role"


class Resource(RootModel[dict[str, str]]):
    """A thing that events are about: labels, of which `prefect.resource.id` is required."""

    model_config = ConfigDict(defer_build=True)

    @model_validator(mode="after")
    def _whole(self) -> Resource:
        if not self.root.get(RESOURCE_ID):
            raise ValueError(f"Resources must include a non-empty {RESOURCE_ID} label.")
        if len(self.root) > RESOURCE_LABELS_MAX:
            raise ValueError(f"The maximum number of labels per resource is {RESOURCE_LABELS_MAX}; this one has {len(self.root)}.")
        return self

    @property
    def id(self) -> str:
        """What the resource is called among all, as `prefect.flow-run.<uuid>`."""
        return self.root[RESOURCE_ID]

    @property
    def name(self) -> str | None:
        """What people call it."""
        return self.root.get(RESOURCE_NAME)

    def get(self, label: str, default: str | None = None) -> str | None:
        """Return the value of a label."""
        return self.root.get(label, default)

    def keys(self) -> Iterable[str]:
        """Return the labels."""
        return self.root.keys()

    def items(self) -> Iterable[tuple[str, str]]:
        """Return labels and values."""
        return self.root.items()

    def __getitem__(self, label: str) -> str:
        return self.root[label]

    def __contains__(self, label: str) -> bool:
        return label in self.root


class RelatedResource(Resource):
    """A resource that took part in an event, in the role of its label `prefect.resource.role`."""

    @model_validator(mode="after")
    def _has_role(self) -> RelatedResource:
        if not self.root.get(RESOURCE_ROLE):
            raise ValueError(f"Related Resources must include a non-empty {RESOURCE_ROLE} label.")
        return self

    @property
    def role(self) -> str:
        """The part it took, as `flow-run`, `tag` or `asset`."""
        return self.root[RESOURCE_ROLE]


class Event(Model):
    """Something that happened to `resource`, at `occurred` by the clock of whoever saw it; `follows` is the event before it."""

    occurred: datetime = Field(default_factory=clock.now)
    event: str = Field(max_length=EVENT_NAME_LENGTH_MAX)
    resource: Resource
    related: list[RelatedResource] = Field(default_factory=list["RelatedResource"], max_length=RELATED_RESOURCES_MAX)
    payload: dict[str, Any] = Field(default_factory=dict)
    id: UUID = Field(default_factory=ids.new)
    follows: UUID | None = None

    @property
    def involved_resources(self) -> list[Resource]:
        """The resource, then the related ones."""
        return [self.resource, *self.related]

    @property
    def resource_in_role(self) -> dict[str, RelatedResource]:
        """The first related resource of each role."""
        return {related.role: related for related in reversed(self.related)}

    @property
    def resources_in_role(self) -> dict[str, list[RelatedResource]]:
        """All related resources of each role."""
        found: dict[str, list[RelatedResource]] = {}
        for related in self.related:
            found.setdefault(related.role, []).append(related)
        return found

    @property
    def size_bytes(self) -> int:
        """The length of the event as JSON."""
        return len(self.model_dump_json().encode())

    def find_resource_label(self, label: str) -> str | None:
        """Return a label of the resource or of the first related one that has it; `related:<role>:<label>` asks one role alone."""
        if label.startswith("related:"):
            _, role, wanted = label.split(":", 2)
            return next((related[wanted] for related in self.related if related.role == role and wanted in related), None)
        return next((resource[label] for resource in self.involved_resources if label in resource), None)


class SentEvent(Event):
    """An event that is sent to be stored: it must carry its id and time."""

    id: UUID  # pyright: ignore[reportGeneralTypeIssues]  # the point of this shape: what an event may have, this one must
    occurred: datetime  # pyright: ignore[reportGeneralTypeIssues]  # as above


class ReceivedEvent(Event):
    """A stored event; `received` is the time of storing."""

    received: datetime = Field(default_factory=clock.now)


class EventOrder(StrEnum):
    """Oldest or newest first."""

    ASC = "ASC"
    DESC = "DESC"


class EventOccurredFilter(Action):
    """By time, both ends included."""

    since: datetime | None = None
    until: datetime | None = None


class EventNameFilter(Action):
    """By name: exact ones, or beginnings."""

    prefix: list[str] | None = None
    exclude_prefix: list[str] | None = None
    name: list[str] | None = None
    exclude_name: list[str] | None = None


class EventResourceFilter(Action):
    """By the id of the resource: exact ones, or beginnings."""

    id: list[str] | None = None
    id_prefix: list[str] | None = None


class EventIDFilter(Action):
    """By id: one of several."""

    id: list[UUID] | None = None


class EventFilter(Action):
    """Which events; an empty one means all. `any_resource` asks about the related resources too."""

    occurred: EventOccurredFilter | None = None
    event: EventNameFilter | None = None
    resource: EventResourceFilter | None = None
    any_resource: EventResourceFilter | None = None
    id: EventIDFilter | None = None
    order: EventOrder = EventOrder.DESC


class FilterEvents(Model):
    """Body of the list of events."""

    filter: EventFilter | None = None
    limit: int = Field(default=PAGE_EVENTS_MAX, ge=0, le=PAGE_EVENTS_MAX)


class EventPage(Model):
    """Some of the events that match, and how many there are."""

    events: list[ReceivedEvent]
    total: int
    next_page: str | None = None
