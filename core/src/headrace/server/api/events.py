"""Routes on events, as functions."""

from headrace.server.streams.documented import (
    count_account_events,
    create_events,
    read_account_events_page,
    read_events,
    stream_events_in,
    stream_workspace_events_out,
)

__all__ = [
    "count_account_events",
    "create_events",
    "read_account_events_page",
    "read_events",
    "stream_events_in",
    "stream_workspace_events_out",
]
