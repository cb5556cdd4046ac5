"""Old events go, a bounded number at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from headrace.model import clock, ids
from headrace.model.caller import SERVICE
from headrace.model.endpoints.events import FILTER_EVENTS, RECORD_EVENTS
from headrace.model.event_filters import EventFilter, FilterEvents
from headrace.model.events import SentEvent
from headrace.operations.events.event_pruning import prune_events
from headrace.settings import temporary_settings

NOW = clock.now()
HEARTBEAT = "prefect.flow-run.heartbeat"


def event(name: str, days: float) -> SentEvent:
    labels = {"prefect.resource.id": "thing.1"}
    related = [{"prefect.resource.id": f"related.{name}", "prefect.resource.role": "part"}]
    return SentEvent.model_validate({"id": ids.new(), "occurred": NOW - timedelta(days=days), "event": name, "resource": labels, "related": related})


def prune(server: Any, limit: int) -> int:
    with server.database.write(SERVICE) as tx:
        return prune_events(tx, NOW, limit)


def left(server: Any) -> list[str]:
    return sorted(one.event for one in server(FILTER_EVENTS, FilterEvents()).events)


def test_events_are_kept_for_a_week(server: Any) -> None:
    server(RECORD_EVENTS, [event(f"e{days}", days) for days in (6, 6.99, 7.01, 9, 100)])
    assert [prune(server, 2), prune(server, 2), prune(server, 2)] == [2, 1, 0]
    assert left(server) == ["e6", "e6.99"]
    gone = FilterEvents(filter=EventFilter.model_validate({"any_resource": {"id": ["related.e9"]}}))
    assert server(FILTER_EVENTS, gone).total == 0


def test_some_events_are_kept_for_less(server: Any) -> None:
    server(RECORD_EVENTS, [event(HEARTBEAT, 0.5), event(HEARTBEAT, 1.5), event("other", 1.5), event("longer", 8)])
    kept = {HEARTBEAT: timedelta(days=1), "longer": timedelta(days=10)}
    with temporary_settings({"HEADRACE_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": kept}):
        assert prune(server, 10) == 2
    assert left(server) == ["other", HEARTBEAT]
