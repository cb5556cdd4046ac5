"""Routes of events."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.events import EventPage, FilterEvents, SentEvent

RECORD_EVENTS: Endpoint[None] = Endpoint("POST", "/events", "events", list[SentEvent], status=204)
"""Stores each event once: a repeated id is ignored."""
FILTER_EVENTS: Endpoint[EventPage] = Endpoint("POST", "/events/filter", "events", FilterEvents, EventPage)
