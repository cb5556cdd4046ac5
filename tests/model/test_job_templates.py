"""Base job templates: the defaults of their variables."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.model.job_templates import defaults


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"default": 3}, {"v": 3}),
        ({"default": False}, {"v": False}),
        ({"default": None}, {}),
        ({"type": "string"}, {}),
        ({"type": "object", "default": {}}, {"v": {}}),
        ({"properties": {"a": {"properties": {"b": {"default": [1]}}}}}, {"v": {"a": {"b": [1]}}}),
        ({"properties": {"a": {"default": 1}, "b": {"default": 2}}, "default": {"b": 3, "c": 4}}, {"v": {"a": 1, "b": 3, "c": 4}}),
        ({"properties": {"a": {"type": "string"}}}, {}),
        ({"properties": {"a": {"default": 1}}, "default": [2]}, {"v": [2]}),
        (True, {}),
    ],
)
def test_variables_have_the_defaults_of_their_schemas(schema: Any, found: dict[str, Any]) -> None:
    assert defaults({"variables": {"properties": {"v": schema}}}) == found
