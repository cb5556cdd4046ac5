"""Events: emitting them, and their shapes."""

from headrace.model.events import Event, ReceivedEvent, RelatedResource, Resource
from headrace.objects.events import emit_event

__all__ = ["Event", "ReceivedEvent", "RelatedResource", "Resource", "emit_event"]
