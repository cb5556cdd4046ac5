"""Filters over events and automations."""

from headrace.model.automations import AutomationFilter, AutomationFilterCreated, AutomationFilterName, AutomationFilterTags
from headrace.model.event_filters import (
    EventAnyResourceFilter,
    EventDataFilter,
    EventFilter,
    EventIDFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventOrder,
    EventRelatedFilter,
    EventResourceFilter,
    EventTextFilter,
)

__all__ = [
    "AutomationFilter",
    "AutomationFilterCreated",
    "AutomationFilterName",
    "AutomationFilterTags",
    "EventAnyResourceFilter",
    "EventDataFilter",
    "EventFilter",
    "EventIDFilter",
    "EventNameFilter",
    "EventOccurredFilter",
    "EventOrder",
    "EventRelatedFilter",
    "EventResourceFilter",
    "EventTextFilter",
]
