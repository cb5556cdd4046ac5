"""Sending events to a server and hearing them."""

from headrace.client.events import (
    AssertingEventsClient,
    AssertingPassthroughEventsClient,
    EventsClient,
    HeadraceEventsClient,
    NullEventsClient,
    get_events_client,
)
from headrace.client.subscriptions import HeadraceEventSubscriber, get_events_subscriber
from headrace.client.websocket import events_in_socket_from_api_url, events_out_socket_from_api_url, http_to_ws

__all__ = [
    "AssertingEventsClient",
    "AssertingPassthroughEventsClient",
    "EventsClient",
    "HeadraceEventSubscriber",
    "HeadraceEventsClient",
    "NullEventsClient",
    "events_in_socket_from_api_url",
    "events_out_socket_from_api_url",
    "get_events_client",
    "get_events_subscriber",
    "http_to_ws",
]
