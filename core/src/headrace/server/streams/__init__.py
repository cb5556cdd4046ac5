"""Websockets: events in, events and logs out, background task runs to task workers; and the bus that feeds them."""
