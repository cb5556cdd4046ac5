"""Statements on events and the resources related to them."""

from __future__ import annotations

EVENT_COLUMNS = ("id", "occurred", "received", "event", "resource_id", "resource", "payload", "follows")

INSERT_EVENT = f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({', '.join('?' * len(EVENT_COLUMNS))}) ON CONFLICT DO NOTHING"
INSERT_RELATED = "INSERT INTO event_resources (event_id, position, resource_id, role, labels) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
