"""The shapes of events."""

from headrace.model.events import Event, ReceivedEvent, RelatedResource, Resource

__all__ = ["Event", "ReceivedEvent", "RelatedResource", "Resource"]
