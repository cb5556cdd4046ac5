"""Events: something that happened to a resource, with the resources that were involved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, RootModel, model_validator

from headrace.model import clock, ids
from headrace.model.base import Model
from headrace.model.errors import InvalidRequest
from headrace.model.labelling import Labelled

EVENT_NAME_LENGTH_MAX = 1024

RESOURCE_ID = "prefect.resource.id"
RESOURCE_NAME = "prefect.resource.name"
RESOURCE_ROLE = "prefect.resource.role"


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time in UTC; one without a zone is taken as that."""


class Resource(Labelled, RootModel[dict[str, str]]):
    """A thing that events are about: labels, of which `prefect.resource.id` is required."""

    model_config = ConfigDict(defer_build=True)

    @model_validator(mode="after")
    def _whole(self) -> Resource:
        if not self.root.get(RESOURCE_ID):
            raise ValueError(f"Resources must include a non-empty {RESOURCE_ID} label.")
        return self

    @property
    def id(self) -> str:
        """What the resource is called among all, as `prefect.flow-run.<uuid>`."""
        return self.root[RESOURCE_ID]

    @property
    def name(self) -> str | None:
        """What people call it."""
        return self.root.get(RESOURCE_NAME)

    def prefect_object_id(self, kind: str) -> UUID:
        """Return the UUID of a resource of this kind (`"prefect.flow-run"`). Raises `ValueError` for one of another kind."""
        if not self.id.startswith(f"{kind}."):
            raise ValueError(f"The resource {self.id!r} is not a {kind}.")
        return UUID(self.id[len(kind) + 1 :])


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


def tags_as_related_resources(tags: Iterable[str]) -> list[RelatedResource]:
    """Return each tag as a related resource in the role `tag`, in the order of the alphabet."""
    return [RelatedResource({RESOURCE_ID: f"prefect.tag.{tag}", RESOURCE_ROLE: "tag"}) for tag in sorted(tags)]


def object_as_related_resource(kind: str, role: str, object: Any) -> RelatedResource:
    """Return something with an `id`, and perhaps a `name`, as a related resource `prefect.<kind>.<id>`."""
    labels = {RESOURCE_ID: f"prefect.{kind}.{object.id}", RESOURCE_ROLE: role}
    name = getattr(object, "name", None)
    return RelatedResource(labels if name is None else {**labels, RESOURCE_NAME: str(name)})


class ResourceSpecification(RootModel[dict[str, str | list[str]]]):
    """Which resources: those that have every label, with a value that `matches` the pattern, or one of the patterns. None means all."""

    model_config = ConfigDict(defer_build=True)

    def matches(self, resource: Resource) -> bool:
        """Say whether a resource is meant."""
        return all(any(matches(pattern, resource.root.get(label)) for pattern in patterns) for label, patterns in self.items())

    def includes(self, candidates: Iterable[Resource]) -> bool:
        """Say whether one of `candidates` is meant; where all are meant, it takes none."""
        return self.matches_every_resource() or any(self.matches(candidate) for candidate in candidates)

    def matches_every_resource(self) -> bool:
        """Say whether all resources are meant."""
        return not self.root

    def matches_every_resource_of_kind(self, prefix: str) -> bool:
        """Say whether all resources with ids below `prefix` are meant, whatever their other labels."""
        return not self.root or (list(self.root) == [RESOURCE_ID] and any(one in ("*", f"{prefix}.*") for one in dict(self.items())[RESOURCE_ID]))

    def items(self) -> Iterable[tuple[str, list[str]]]:
        """Return labels and their patterns."""
        return [(label, [value] if isinstance(value, str) else value) for label, value in self.root.items()]

    def get(self, key: str, default: str | list[str] | None = None) -> list[str] | None:
        """Return the patterns of a label."""
        value = self.root.get(key, default)
        return [value] if isinstance(value, str) else value

    def pop(self, key: str, default: str | list[str] | None = None) -> list[str] | None:
        """Remove a label and return its patterns."""
        value = self.root.pop(key, default)
        return [value] if isinstance(value, str) else value

    def __contains__(self, key: str) -> bool:
        return key in self.root

    def __getitem__(self, key: str) -> list[str]:
        return dict(self.items())[key]

    def __setitem__(self, key: str, value: str | list[str]) -> None:
        self.root[key] = value

    def __len__(self) -> int:
        return len(self.root)

    def deepcopy(self) -> ResourceSpecification:
        """Return a copy that shares nothing."""
        return ResourceSpecification({label: list(patterns) for label, patterns in self.items()})


def matches(expected: str, value: str | None) -> bool:
    """Say whether `value` is as `expected`: the same text, one that begins like it if it ends in `*`, or, after `!`, one that does not.

    What is missing matches nothing, not even a negation.
    """
    if value is None:
        return False
    negated = expected.startswith("!")
    pattern = expected[1:] if negated else expected
    found = value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
    return found != negated


class Event(Model):
    """Something that happened to `resource`, at `occurred` by the clock of whoever saw it; `follows` is the event before it."""

    occurred: Moment = Field(default_factory=clock.now)
    event: str = Field(max_length=EVENT_NAME_LENGTH_MAX)
    resource: Resource
    related: list[RelatedResource] = Field(default_factory=list["RelatedResource"])
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

    def check_limits(self, labels_max: int, related_max: int) -> None:
        """Raise `InvalidRequest` when the event has more related resources, or a resource of it more labels, than these."""
        if len(self.related) > related_max:
            raise InvalidRequest(
                f"The event {self.event!r} ({self.id}) has {len(self.related)} related resources, and {related_max} are allowed. "
                "Name fewer, or raise server.events.maximum_related_resources where the server runs."
            )
        for resource in self.involved_resources:
            if len(resource.root) > labels_max:
                raise InvalidRequest(
                    f"The resource {resource.id!r} of the event {self.event!r} ({self.id}) has {len(resource.root)} labels, and {labels_max} are "
                    "allowed. Put what is no label into the payload, or raise server.events.maximum_labels_per_resource where the server runs."
                )

    def find_resource_label(self, label: str) -> str | None:
        """Return a label of the resource or of the first related one that has it; `related:<role>:<label>` asks one role alone."""
        if label.startswith("related:"):
            _, role, wanted = label.split(":", 2)
            return next((related[wanted] for related in self.related if related.role == role and wanted in related), None)
        return next((resource[label] for resource in self.involved_resources if label in resource), None)


class SentEvent(Event):
    """An event that is sent to be stored: it must carry its id and time."""

    id: UUID  # pyright: ignore[reportGeneralTypeIssues]  # the point of this shape: what an event may have, this one must
    occurred: Moment  # pyright: ignore[reportGeneralTypeIssues]  # as above


class ReceivedEvent(Event):
    """A stored event; `received` is the time of storing."""

    received: datetime = Field(default_factory=clock.now)
