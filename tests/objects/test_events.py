"""Emitting events and finding them again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from headrace.client import current_run
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.events import emit_event
from headrace.model import clock
from headrace.model.endpoints.events import RECORD_EVENTS
from headrace.model.errors import EventTooLarge
from headrace.model.events import SentEvent
from objects.told import stored_events

pytestmark = pytest.mark.usefixtures("client")

THING = {"prefect.resource.id": "my.thing.1", "prefect.resource.name": "One"}


def found(**wanted: Any) -> list[Any]:
    """Return the events that match and are the test's own: a server tells of things that it does itself."""
    return [event for event in stored_events(**wanted) if not event.event.startswith("prefect.")]


def test_an_event_is_stored_as_it_was_emitted() -> None:
    related = {"prefect.resource.id": "my.other.1", "prefect.resource.role": "part"}
    emitted = emit_event("thing.made", THING, related=[related], payload={"size": 3})
    [stored] = found()
    assert stored.model_dump(exclude={"received"}) == emitted.model_dump()
    assert stored.received >= stored.occurred


def test_events_are_found_by_name_and_by_who_took_part() -> None:
    emit_event("thing.made", THING, related=[{"prefect.resource.id": "my.other.1", "prefect.resource.role": "part"}])
    emit_event("thing.lost", {"prefect.resource.id": "my.thing.2"})
    emit_event("else", {"prefect.resource.id": "my.thing.1"})

    def names(**wanted: Any) -> list[str]:
        return [event.event for event in found(order="ASC", **wanted)]

    assert names(event={"prefix": ["thing."]}) == ["thing.made", "thing.lost"]
    assert names(event={"name": ["else"]}) == ["else"]
    assert names(event={"exclude_prefix": ["thing.m"]}) == ["thing.lost", "else"]
    assert names(resource={"id": ["my.thing.1"]}) == ["thing.made", "else"]
    assert names(resource={"id_prefix": ["my.other"]}) == []
    assert names(any_resource={"id_prefix": ["my.other"]}) == ["thing.made"]
    assert names(occurred={"until": clock.now() - timedelta(hours=1)}) == []


def test_the_runs_of_the_context_are_related_once() -> None:
    run, task = uuid4(), uuid4()
    token = current_run.set_run_ids(run, task)
    mine = {"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.role": "me"}
    emitted = emit_event("a", THING, related=[mine])
    current_run.reset(token)
    assert [(related.role, related.id) for related in emitted.related] == [
        ("me", f"prefect.flow-run.{run}"),
        ("task-run", f"prefect.task-run.{task}"),
    ]


def test_an_event_follows_another_of_the_last_five_minutes() -> None:
    first = emit_event("a", THING)
    assert emit_event("b", THING, follows=first).follows == first.id
    old = emit_event("a", THING, occurred=clock.now() - timedelta(minutes=6))
    assert emit_event("b", THING, follows=old).follows is None


@pytest.mark.parametrize(
    ("event", "resource", "related"),
    [
        ("a", {}, []),
        ("a", {"prefect.resource.id": ""}, []),
        ("a", THING, [{"prefect.resource.id": "x"}]),
        ("a" * 1025, THING, []),
        ("a", {**THING, **{str(number): "" for number in range(500)}}, []),
        ("a", THING, [{"prefect.resource.id": str(number), "prefect.resource.role": "x"} for number in range(101)]),
    ],
)
def test_what_is_no_event_is_refused(event: str, resource: dict[str, str], related: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        emit_event(event, resource, related=related)
    assert found() == []


def test_a_huge_event_is_refused() -> None:
    with pytest.raises(EventTooLarge):
        emit_event("a", THING, payload={"x": "y" * 1_600_000})


def test_an_event_that_comes_twice_is_stored_once() -> None:
    event = SentEvent(event="a", resource=THING, id=uuid4(), occurred=clock.now())  # type: ignore[arg-type]  # parsed
    for _ in range(2):
        drive(current_client().call(RECORD_EVENTS, [event]))
    assert len(found()) == 1


def test_labels_are_looked_up_in_all_resources() -> None:
    event = emit_event("a", THING, related=[{"prefect.resource.id": "o", "prefect.resource.role": "part", "colour": "red"}])
    assert event.find_resource_label("prefect.resource.name") == "One"
    assert event.find_resource_label("colour") == "red"
    assert event.find_resource_label("related:part:prefect.resource.id") == "o"
    assert event.find_resource_label("nope") is None
    assert event.resource_in_role["part"].id == "o"
