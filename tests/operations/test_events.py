"""Events: stored once, found by every filter, listed page by page, counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from headrace.model import clock, ids
from headrace.model.caller import Caller
from headrace.model.endpoints import events as endpoints
from headrace.model.errors import InvalidRequest
from headrace.model.event_filters import CountEvents, EventFilter, FilterEvents
from headrace.model.events import SentEvent
from headrace.settings import temporary_settings

NOW = clock.now()


def event(name: str = "thing.happened", resource: dict[str, str] | None = None, **more: Any) -> SentEvent:
    labels = {"prefect.resource.id": "thing.1", **(resource or {})}
    return SentEvent.model_validate({"id": ids.new(), "occurred": NOW, "event": name, "resource": labels, **more})


def related(id: str, role: str, **labels: str) -> dict[str, str]:
    return {"prefect.resource.id": id, "prefect.resource.role": role, **labels}


def ask(**filter: Any) -> FilterEvents:
    return FilterEvents(filter=EventFilter.model_validate(filter))


def names(page: Any) -> list[str]:
    return [one.event for one in page.events]


def test_an_event_comes_back_as_it_was_sent(server: Any) -> None:
    sent = event(
        related=[related("b.2", "second", color="red"), related("a.1", "first")],
        payload={"a": [1, None, {"ü": 2.5}]},
        follows=ids.new(),
        resource={"z": "1", "a": "2"},
    )
    server(endpoints.RECORD_EVENTS, [sent])
    page = server(endpoints.FILTER_EVENTS, FilterEvents())
    (found,) = page.events
    assert found.model_dump(exclude={"received"}) == sent.model_dump()
    assert list(found.resource.keys()) == ["prefect.resource.id", "z", "a"]
    assert (page.total, page.next_page) == (1, None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"resource": {"a": "1", "b": "2", "c": "3"}}, "'thing.1' .* has 4 labels, and 3 are allowed.*server.events.maximum_labels_per_resource"),
        ({"related": [related("a.1", "part", b="2", c="3")]}, "'a.1' .* has 4 labels, and 3 are allowed"),
        ({"related": [related(f"a.{n}", "part") for n in range(3)]}, "has 3 related resources, and 2 are allowed.*server.events.maximum_related"),
    ],
)
def test_what_is_beyond_the_settings_is_refused(server: Any, more: dict[str, Any], said: str) -> None:
    limits = {"HEADRACE_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE": "3", "HEADRACE_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES": "2"}
    with temporary_settings(limits), pytest.raises(InvalidRequest, match=said):
        server(endpoints.RECORD_EVENTS, [event("other"), event(**more)])
    assert names(server(endpoints.FILTER_EVENTS, FilterEvents())) == []


def test_an_event_that_comes_twice_is_stored_and_published_once(server: Any) -> None:
    first, second = event("a"), event("b")
    server(endpoints.RECORD_EVENTS, [first])
    server(endpoints.RECORD_EVENTS, [first, second])
    assert sorted(names(server(endpoints.FILTER_EVENTS, FilterEvents()))) == ["a", "b"]
    assert [[one.event for one in messages] for topic, messages in server.published if topic == "events"] == [["a"], ["b"]]


def test_an_event_that_is_too_large_is_left_out(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    server(endpoints.RECORD_EVENTS, [event("small"), event("large", payload={"text": "x" * 1_500_000})])
    assert names(server(endpoints.FILTER_EVENTS, FilterEvents())) == ["small"]
    assert "1500000 bytes" in caplog.text


# --- filters ----------------------------------------------------------------------------------------------------------

SENT = [
    event("a.one", {"prefect.resource.id": "red.1", "color": "red"}, related=[related("flow.1", "flow", owner="Ann"), related("tag.x", "tag")]),
    event("a.two", {"prefect.resource.id": "red.2", "color": "Red"}, related=[related("flow.1", "parent", owner="Bob")]),
    event("b.one", {"prefect.resource.id": "blue.1", "color": 'da"rk\\'}, payload={"note": 'Say "Hi" to 100%'}),
    event("b.two", {"prefect.resource.id": "flow.1", "size": "big", "tag.x": "1"}, payload={"note": "nothing"}),
]

QUESTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["a.one", "a.two", "b.one", "b.two"]),
    ({"event": {"prefix": ["a.", "z"]}}, ["a.one", "a.two"]),
    ({"event": {"exclude_prefix": ["a."]}}, ["b.one", "b.two"]),
    ({"event": {"name": ["a.two", "b.two"], "exclude_name": ["b.two"]}}, ["a.two"]),
    ({"event": {"name": [], "prefix": []}, "id": {"id": []}}, ["a.one", "a.two", "b.one", "b.two"]),
    ({"resource": {"id": ["red.1", "blue.1"]}}, ["a.one", "b.one"]),
    ({"resource": {"id_prefix": ["red."]}}, ["a.one", "a.two"]),
    ({"resource": {"labels": {"color": "red"}}}, ["a.one"]),
    ({"resource": {"labels": {"color": ["red", "Re*"]}}}, ["a.one", "a.two"]),
    ({"resource": {"labels": {"color": "!red"}}}, ["a.two", "b.one"]),
    ({"resource": {"labels": {"color": 'da"rk\\'}}}, ["b.one"]),
    ({"resource": {"labels": {"color": 'da"*', "prefect.resource.id": "!red.*"}}}, ["b.one"]),
    ({"resource": {"labels": {"color": []}}}, []),
    ({"related": {"id": ["flow.1"]}}, ["a.one", "a.two"]),
    ({"related": {"role": ["flow", "tag"]}}, ["a.one"]),
    ({"related": {"id": ["flow.1"], "role": ["tag"]}}, []),
    ({"related": {"resources_in_roles": [["flow.1", "parent"], ["tag.x", "flow"]]}}, ["a.two"]),
    ({"related": {"labels": {"owner": "!Bob"}}}, ["a.one"]),
    ({"related": [{"role": ["flow"]}, {"role": ["tag"]}]}, ["a.one"]),
    ({"related": {}}, ["a.one", "a.two", "b.one", "b.two"]),
    ({"any_resource": {"id": ["flow.1"]}}, ["a.one", "a.two", "b.two"]),
    ({"any_resource": {"id_prefix": ["blue", "tag"]}}, ["a.one", "b.one"]),
    ({"any_resource": [{"id": ["flow.1"]}, {"labels": {"size": "b*"}}]}, ["b.two"]),
    ({"id": {"id": [str(SENT[2].id)]}}, ["b.one"]),
    ({"text": {"query": "ann nothing"}}, ["a.one", "b.two"]),
    ({"text": {"query": "+blue -nothing"}}, ["b.one"]),
    ({"text": {"query": '"say \\"hi\\" to 100%"'}}, ["b.one"]),
    ({"text": {"query": "!flow.1"}}, ["b.one"]),
    ({"occurred": {"since": NOW.isoformat(), "until": NOW.isoformat()}}, ["a.one", "a.two", "b.one", "b.two"]),
    ({"occurred": {"since": (NOW + timedelta(microseconds=1)).isoformat()}}, []),
]


def test_filters_find_what_they_say(server: Any) -> None:
    server(endpoints.RECORD_EVENTS, SENT)
    for filter, expected in QUESTIONS:
        page = server(endpoints.FILTER_EVENTS, ask(**filter))
        assert (sorted(names(page)), page.total) == (expected, len(expected)), filter


def test_filters_say_the_same_of_events_at_hand() -> None:
    for filter, expected in QUESTIONS:
        wanted = EventFilter.model_validate(filter)
        assert [one.event for one in SENT if wanted.includes(one)] == expected, filter
        assert [one.event for one in SENT if not wanted.excludes(one)] == expected, filter


def test_old_and_coming_events_are_not_asked_for_unless_they_are(server: Any) -> None:
    times = {"ancient": -181, "old": -179, "coming": 1}
    server(endpoints.RECORD_EVENTS, [event(name, occurred=NOW + timedelta(days=days)) for name, days in times.items()])
    assert names(server(endpoints.FILTER_EVENTS, FilterEvents())) == ["old"]
    wide = ask(occurred={"since": NOW - timedelta(days=400), "until": NOW + timedelta(days=400)}, order="ASC")
    assert names(server(endpoints.FILTER_EVENTS, wide)) == ["ancient", "old", "coming"]


def test_distinct_shows_the_newest_event_of_each_resource(server: Any) -> None:
    made = [event(f"e{n}", {"prefect.resource.id": f"r.{n % 2}"}, occurred=NOW - timedelta(minutes=9 - n)) for n in range(6)]
    server(endpoints.RECORD_EVENTS, made)
    page = server(endpoints.FILTER_EVENTS, ask(resource={"distinct": True}))
    assert (names(page), page.total) == (["e5", "e4"], 2)


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["DESC", "ASC"])
def test_pages_go_on_behind_each_other_while_events_come(server: Any, order: str) -> None:
    caller = Caller(is_server=True, base_url="http://there/api")
    made = [event(f"e{n}", occurred=NOW - timedelta(minutes=10 - n // 2)) for n in range(7)]
    server(endpoints.RECORD_EVENTS, made)
    body = FilterEvents(filter=EventFilter.model_validate({"order": order, "event": {"prefix": ["e"]}}), limit=3)
    page, _ = server.answer(endpoints.FILTER_EVENTS, body, caller)
    seen = names(page)
    while page.next_page is not None:
        assert page.next_page.startswith("http://there/api/events/filter/next?page-token=")
        assert page.total == 7
        server(endpoints.RECORD_EVENTS, [event("e-late", occurred=clock.now())])
        (token,) = parse_qs(urlsplit(page.next_page).query)["page-token"]
        page, _ = server.answer(endpoints.READ_NEXT_EVENTS, None, caller, page_token=token)
        assert len(page.events) <= 3
        seen += names(page)
    by_time = sorted(made, key=lambda one: (one.occurred, one.id), reverse=order == "DESC")
    assert seen == [one.event for one in by_time]


@pytest.mark.parametrize("token", ["", "zzz", "e30=", "ü"])
def test_a_token_that_no_page_gave_is_forbidden(server: Any, token: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        server(endpoints.READ_NEXT_EVENTS, page_token=token)
    assert (refused.value.status, str(refused.value)) == (403, "Forbidden")


# --- counts -----------------------------------------------------------------------------------------------------------


def count(server: Any, countable: str, **body: Any) -> list[Any]:
    return server(endpoints.COUNT_EVENTS, CountEvents.model_validate(body), countable=countable)


def test_days_are_counted_with_empty_ones_between(server: Any) -> None:
    noon = clock.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=9)
    server(endpoints.RECORD_EVENTS, [event(occurred=noon + timedelta(days=days)) for days in (0, 0, 2)])
    found = count(server, "day", filter={"occurred": {"since": noon, "until": noon + timedelta(days=2)}})
    assert [(one.value, one.count) for one in found] == [("0", 2), ("1", 0), ("2", 1)]
    midnight = noon.replace(hour=0)
    assert (found[0].label, found[0].start_time) == (midnight.isoformat(), midnight)
    assert found[0].end_time == midnight + timedelta(days=1) - timedelta(microseconds=1)


@pytest.mark.parametrize(("unit", "interval", "length"), [("minute", 15, 900), ("second", 0.5, 0.5), ("week", 1, 7 * 86400)])
def test_intervals_stand_fast_whenever_one_asks(server: Any, unit: str, interval: float, length: float) -> None:
    start = clock.from_us(1_711_929_600_000_000) + 3 * timedelta(seconds=length)
    server(endpoints.RECORD_EVENTS, [event(occurred=start + timedelta(seconds=length * 0.3))])
    window = {"since": start + timedelta(seconds=length * 0.2), "until": start + timedelta(seconds=length * 1.2)}
    found = count(server, "time", filter={"occurred": window}, time_unit=unit, time_interval=interval)
    assert [(one.count, one.start_time) for one in found] == [(1, start), (0, start + timedelta(seconds=length))]


def test_too_many_intervals_are_refused(server: Any) -> None:
    with pytest.raises(InvalidRequest, match="buckets, which is too many") as refused:
        count(server, "time", filter={}, time_unit="second")
    assert refused.value.status == 422


def test_events_and_resources_are_counted(server: Any) -> None:
    made = [
        event("a", {"prefect.resource.id": "r.1", "prefect.resource.name": "old name"}, occurred=NOW - timedelta(minutes=3)),
        event("a", {"prefect.resource.id": "r.1", "prefect.resource.name": "name"}, occurred=NOW - timedelta(minutes=1)),
        event("b", {"prefect.resource.id": "r.2"}, occurred=NOW - timedelta(minutes=2)),
    ]
    server(endpoints.RECORD_EVENTS, made)
    by_event, by_resource = count(server, "event", filter={}), count(server, "resource", filter={})
    assert [(one.value, one.label, one.count) for one in by_event] == [("a", "a", 2), ("b", "b", 1)]
    assert (by_event[0].start_time, by_event[0].end_time) == (made[0].occurred, made[1].occurred)
    assert [(one.value, one.label, one.count) for one in by_resource] == [("r.1", "name", 2), ("r.2", "r.2", 1)]


def test_nothing_else_is_counted_by(server: Any) -> None:
    with pytest.raises(InvalidRequest, match="not by 'moon'"):
        count(server, "moon", filter={})
