"""Filters over events as conditions on `events e`; `EventFilter.includes` says the same of an event at hand.

Labels lie in the rows as compact JSON of texts, so `"label":"value"` is looked for as text: alike on every database, and no JSON is parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from headrace.model.event_filters import (
    EventAnyResourceFilter,
    EventFilter,
    EventRelatedFilter,
    EventResourceFilter,
    EventTextFilter,
    as_in_json,
)
from headrace.model.events import ResourceSpecification
from headrace.model.text_search import words_of
from headrace.operations.conditions import Conditions, escaped
from headrace.store.codec import json_in, microseconds

F = TypeVar("F", EventRelatedFilter, EventAnyResourceFilter)


def event_conditions(wanted: EventFilter) -> Conditions:
    """Return what a filter asks of `events e`."""
    found = Conditions()
    found.add("e.occurred >= ?", microseconds(wanted.occurred.since))
    found.add("e.occurred <= ?", microseconds(wanted.occurred.until))
    if wanted.event is not None:
        found.starts("e.event", wanted.event.prefix or None)
        found.starts("e.event", wanted.event.exclude_prefix or None, negated=True)
        found.any_of("e.event", wanted.event.name or None)
        found.any_of("e.event", wanted.event.exclude_name or None, negated=True)
    if wanted.resource is not None:
        _nest(found, _resource(wanted.resource, "e.resource_id", "e.resource"))
    for related in _each(wanted.related):
        if not related.is_empty:
            _exists(found, _related(related))
    for one in _each(wanted.any_resource):
        _any_resource(found, one)
    found.any_of("e.id", wanted.id.id or None)
    if wanted.text is not None:
        _text(found, wanted.text)
    return found


def _each(given: F | list[F] | None) -> Sequence[F]:
    return given if isinstance(given, list) else [] if given is None else [given]


def _nest(found: Conditions, inner: Conditions) -> None:
    if not inner.is_empty:
        found.add(inner.joined(), *inner.values)


def _exists(found: Conditions, inner: Conditions) -> None:
    found.add(f"EXISTS (SELECT 1 FROM event_resources r WHERE r.event_id = e.id AND {inner.joined()})", *inner.values)


def _resource(wanted: EventResourceFilter | EventAnyResourceFilter, id_column: str, labels_column: str) -> Conditions:
    found = Conditions()
    found.any_of(id_column, wanted.id or None)
    found.starts(id_column, wanted.id_prefix or None)
    if wanted.labels is not None:
        _labels(found, wanted.labels, labels_column)
    return found


def _any_resource(found: Conditions, wanted: EventAnyResourceFilter) -> None:
    primary = _resource(wanted, "e.resource_id", "e.resource")
    if primary.is_empty:
        return
    either = Conditions()
    either.add(primary.joined(), *primary.values)
    _exists(either, _resource(wanted, "r.resource_id", "r.labels"))
    found.add(either.joined("or_"), *either.values)


def _related(wanted: EventRelatedFilter) -> Conditions:
    found = Conditions()
    found.any_of("r.resource_id", wanted.id or None)
    found.any_of("r.role", wanted.role or None)
    if wanted.resources_in_roles:
        pairs = " OR ".join(["r.resource_id = ? AND r.role = ?"] * len(wanted.resources_in_roles))
        found.add(f"({pairs})", *(value for pair in wanted.resources_in_roles for value in pair))
    if wanted.labels is not None:
        _labels(found, wanted.labels, "r.labels")
    return found


def _labels(found: Conditions, wanted: ResourceSpecification, column: str) -> None:
    for label, patterns in wanted.items():
        either = Conditions()
        for pattern in patterns:
            negated = pattern.startswith("!")
            text = pattern[1:] if negated else pattern
            piece = _pair(label, text[:-1])[:-1] if text.endswith("*") else _pair(label, text)
            if negated:
                either.add(f"{_holds(column)} AND NOT {_holds(column)}", _pair(label, "")[:-1], piece)
            else:
                either.add(_holds(column), piece)
        if either.is_empty:
            found.add("FALSE")
        else:
            found.add(either.joined("or_"), *either.values)


def _holds(column: str) -> str:
    return f"REPLACE({column}, ?, '') <> {column}"  # contains, with upper and lower case apart: LIKE is not so everywhere


def _pair(label: str, value: str) -> str:
    text = json_in({label: value})
    assert text is not None
    return text[1:-1]


def _text(found: Conditions, wanted: EventTextFilter) -> None:
    choices = Conditions()
    for sign, word in words_of(wanted.query):
        pattern = f"%{escaped(as_in_json(word.lower()))}%"
        places = Conditions()
        for column in ("e.event", "e.resource", "e.payload"):
            places.add(f"LOWER({column}) LIKE ? ESCAPE '\\'", pattern)
        inner = Conditions()
        inner.add("LOWER(r.labels) LIKE ? ESCAPE '\\'", pattern)
        _exists(places, inner)
        if sign == "":
            choices.add(places.joined("or_"), *places.values)
        else:
            found.add(f"{'NOT ' if sign == '-' else ''}{places.joined('or_')}", *places.values)
    if not choices.is_empty:
        found.add(choices.joined("or_"), *choices.values)
