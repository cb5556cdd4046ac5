"""A filter asked of the database and the same one asked of events at hand say the same, whatever they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.model import ids
from headrace.model.endpoints.events import FILTER_EVENTS, RECORD_EVENTS
from headrace.model.event_filters import EventFilter, FilterEvents
from headrace.model.events import SentEvent

START = datetime(2026, 3, 1, tzinfo=UTC)

words = st.sampled_from(["a", "A", "ab", "aB", "b.a", "b.", 'q"', "50%", "x_y", "\\", "*"])
labels = st.dictionaries(st.sampled_from(["color", "Color", 'odd"key', "a.b"]), words, max_size=3)
times = st.integers(0, 5).map(lambda n: START + timedelta(hours=n))
patterns = st.builds(lambda sign, word, end: sign + word + end, st.sampled_from(["", "!"]), words, st.sampled_from(["", "*"]))
specifications = st.dictionaries(
    st.sampled_from(["color", "Color", 'odd"key', "a.b", "prefect.resource.id"]), patterns | st.lists(patterns, max_size=2), max_size=2
)
some = st.none() | st.lists(words, max_size=2)
queries = st.lists(
    st.builds(lambda sign, word: f'{sign}"{word}"', st.sampled_from(["", "+", "-"]), st.sampled_from(["a", "B.", "50%", "q", "flow"])), max_size=3
)


def resources(**more: Any) -> Any:
    return st.builds(lambda id, found, extra: {"prefect.resource.id": id, **extra, **found}, words, labels, st.fixed_dictionaries(more))


related = resources(**{"prefect.resource.role": st.sampled_from(["flow", "tag"])})
events = st.builds(
    lambda **fields: SentEvent.model_validate({"id": ids.new(), **fields}),
    occurred=times,
    event=words,
    resource=resources(),
    related=st.lists(related, max_size=2),
    payload=st.dictionaries(words, st.none() | st.integers(0, 3) | words, max_size=2),
)
by_resource = {"id": some, "id_prefix": some, "labels": st.none() | specifications}
any_resources = st.fixed_dictionaries(by_resource)
related_filters = st.fixed_dictionaries(
    {
        "id": some,
        "role": st.none() | st.just(["flow"]),
        "resources_in_roles": st.none() | st.lists(st.tuples(words, st.sampled_from(["flow", "tag"])), max_size=2),
        "labels": st.none() | specifications,
    }
)
filters = st.fixed_dictionaries(
    {
        "occurred": st.fixed_dictionaries({"since": times, "until": times}) | st.just({"since": START, "until": START + timedelta(days=1)}),
        "event": st.none() | st.fixed_dictionaries({"prefix": some, "exclude_prefix": some, "name": some, "exclude_name": some}),
        "resource": st.none() | st.fixed_dictionaries(by_resource),
        "related": st.none() | related_filters | st.lists(related_filters, max_size=2),
        "any_resource": st.none() | any_resources | st.lists(any_resources, max_size=2),
        "text": st.none() | queries.map(lambda parts: {"query": " ".join(parts)}),
    }
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(stored=st.lists(events, min_size=3, max_size=12), asked=st.lists(filters, min_size=3, max_size=6))
def test_the_database_finds_what_the_filter_includes(server: Any, stored: list[SentEvent], asked: list[dict[str, Any]]) -> None:
    server(RECORD_EVENTS, stored)
    mine = {"id": {"id": [event.id for event in stored]}}  # earlier examples left others
    for one in asked:
        wanted = EventFilter.model_validate({**one, **mine})
        found = {event.id for event in server(FILTER_EVENTS, FilterEvents(filter=wanted)).events}
        assert found == {event.id for event in stored if wanted.includes(event)}
