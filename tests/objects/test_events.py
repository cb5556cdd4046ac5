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
from headrace.model.errors import EventTooLarge, InvalidRequest
from headrace.model.events import SentEvent
from headrace.settings import temporary_settings
from headrace.testing.server import server_process
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
    ],
)
def test_what_is_no_event_is_refused(event: str, resource: dict[str, str], related: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        emit_event(event, resource, related=related)
    assert found() == []


def _parts(count: int) -> list[dict[str, str]]:
    return [{"prefect.resource.id": str(number), "prefect.resource.role": "x"} for number in range(count)]


def _labels(count: int) -> dict[str, str]:
    return {**THING, **{str(number): "" for number in range(count - len(THING))}}


@pytest.mark.parametrize(
    ("settings", "labels_max", "related_max"),
    [({}, 500, 100), ({"HEADRACE_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE": "7", "HEADRACE_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES": "2"}, 7, 2)],
)
def test_labels_and_related_resources_are_limited(settings: dict[str, str], labels_max: int, related_max: int) -> None:
    with temporary_settings(settings):
        emit_event("a", _labels(labels_max), related=_parts(related_max))
        with pytest.raises(InvalidRequest, match=f"'my.thing.1' of the event 'b' .* has {labels_max + 1} labels, and {labels_max} are allowed"):
            emit_event("b", _labels(labels_max + 1))
        with pytest.raises(InvalidRequest, match=f"'c' .* has {related_max + 1} related resources, and {related_max} are allowed"):
            emit_event("c", THING, related=_parts(related_max + 1))
        assert [event.event for event in found()] == ["a"]


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


@pytest.mark.embedded
def test_events_that_a_server_refuses_hold_up_no_others(caplog: pytest.LogCaptureFixture) -> None:
    with (
        server_process(environment={"HEADRACE_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES": "2"}) as server,
        temporary_settings({"HEADRACE_API_URL": server.url}),
    ):
        for number in range(4):
            emit_event(f"with.{number}", THING, related=_parts(number))
        assert [event.event for event in found(order="ASC")] == ["with.0", "with.1", "with.2"]
        emit_event("after", THING)
        assert [event.event for event in found(order="ASC")] == ["with.0", "with.1", "with.2", "after"]
    assert "A record was refused and is lost: " in caplog.text and "has 3 related resources, and 2 are allowed" in caplog.text
