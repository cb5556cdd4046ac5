"""Front desk: events. Triggers are imported when they are used, since code that only emits events does not need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.model.events import Event, ReceivedEvent, RelatedResource, Resource
from headrace.objects.events import emit_event

if TYPE_CHECKING:
    from headrace.model.deployment_triggers import DeploymentCompoundTrigger, DeploymentEventTrigger, DeploymentSequenceTrigger

__all__ = [
    "DeploymentCompoundTrigger",
    "DeploymentEventTrigger",
    "DeploymentSequenceTrigger",
    "Event",
    "ReceivedEvent",
    "RelatedResource",
    "Resource",
    "emit_event",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from headrace.model import deployment_triggers

        return getattr(deployment_triggers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
