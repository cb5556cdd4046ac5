"""The shapes of events."""

from headrace.model.events import Event, ReceivedEvent, RelatedResource, Resource, ResourceSpecification, matches

__all__ = ["Event", "ReceivedEvent", "RelatedResource", "Resource", "ResourceSpecification", "matches"]
