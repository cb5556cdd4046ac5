"""Routes of events."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.event_filters import CountEvents, EventCount, EventPage, FilterEvents
from headrace.model.events import SentEvent

RECORD_EVENTS: Endpoint[None] = Endpoint("POST", "/events", "events", list[SentEvent], status=204)
"""Stores each event once: a repeated id is ignored."""
FILTER_EVENTS: Endpoint[EventPage] = Endpoint("POST", "/events/filter", "events", FilterEvents, EventPage)
READ_NEXT_EVENTS: Endpoint[EventPage] = Endpoint("GET", "/events/filter/next", "events", returns=EventPage, query=(("page-token", str),))
"""The page after another, by the token of its `next_page`."""
COUNT_EVENTS: Endpoint[list[EventCount]] = Endpoint("POST", "/events/count-by/{countable}", "events", CountEvents, list[EventCount])
