"""Events as they were stored."""

from __future__ import annotations

from typing import Any

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.recording import spool
from headrace.model.endpoints.events import FILTER_EVENTS
from headrace.model.event_filters import EventFilter, FilterEvents


def stored_events(**wanted: Any) -> list[Any]:
    """Return the events that match the parts of a filter, newest first unless it says otherwise; what is on its way arrives first."""
    spool().flush()
    return drive(current_client().call(FILTER_EVENTS, FilterEvents(filter=EventFilter.model_validate(wanted)))).events
