"""Values against JSON schemas of parameters and run inputs."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.rules.schema_check import problems

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
        "age": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "default": None},
        "colour": {"$ref": "#/$defs/Colour"},
        "friends": {"type": "array", "items": {"$ref": "#"}, "maxItems": 1},
        "point": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}], "minItems": 2, "items": False},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"Colour": {"enum": ["red", "blue"], "type": "string"}},
}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"name": "a"}, []),
        ({"name": "a", "age": 3, "colour": "red", "friends": [{"name": "b"}], "point": [1, 2.5]}, []),
        ({"name": "a", "age": None}, []),
        ({"name": "a", "age": 3.0}, []),
        ({}, ["name is required"]),
        ([], ["value is [], not of type object"]),
        ({"name": "A"}, ["name does not match '^[a-z]+$'"]),
        ({"name": ""}, ["name is shorter than 1 characters", "name does not match '^[a-z]+$'"]),
        ({"name": "a", "age": -1}, ["age is -1, which is less than 0"]),
        ({"name": "a", "age": True}, ["age is True, not of type integer"]),
        ({"name": "a", "colour": "green"}, ["colour is 'green', not one of 'red', 'blue'"]),
        ({"name": "a", "friends": [{"name": 1}]}, ["friends[0].name is 1, not of type string"]),
        ({"name": "a", "friends": [{"name": "b"}] * 2}, ["friends has 2 items, more than 1"]),
        ({"name": "a", "point": [1]}, ["point has 1 items, less than 2"]),
        ({"name": "a", "point": [1, 2, 3]}, ["point[2] is not allowed"]),
        ({"name": "a", "x": 1}, ["x is unknown"]),
    ],
)
def test_problems_name_the_place_and_the_reason(value: Any, found: list[str]) -> None:
    assert problems(PERSON, value) == found


def test_schema_that_refers_to_itself_without_end_is_given_up() -> None:
    assert problems({"$ref": "#"}, 1) == []


def test_what_is_not_understood_is_not_refused() -> None:
    assert problems({"type": "mystery", "format": "x", "unknown": 1}, 1) == []
