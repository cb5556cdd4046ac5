"""Base job templates: what a work pool's jobs are made of, and which values may be put in.

A template holds `variables`, a JSON schema of an object, and `job_configuration`, whose texts may hold `{{ name }}` of one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

_PLACEHOLDER = re.compile(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}")
_RESOLVED_ELSEWHERE = ("prefect.blocks.", "prefect.variables.", "headrace.blocks.", "headrace.variables.", "ctx.", "$")


def placeholders(value: Any) -> set[str]:
    """Return the names of the variables that `value` refers to, at any depth. Blocks, stored variables and the environment are none."""
    return {name for name in _names(value) if not name.startswith(_RESOLVED_ELSEWHERE)}


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _names(key)
            yield from _names(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _names(item)


def checked_template(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template that is whole. Raises `ValueError` when a part is missing or a placeholder stands for no variable."""
    if not template:
        return template
    if not all(isinstance(template.get(part), dict) and template[part] for part in ("job_configuration", "variables")):
        raise ValueError("The `base_job_template` must contain both a `job_configuration` key and a `variables` key.")
    undeclared = placeholders(template["job_configuration"]) - set(properties(template))
    if undeclared:
        names = ", ".join(sorted(undeclared))
        raise ValueError(f"The job configuration uses variables that `variables.properties` does not declare: {names}. Declare them there.")
    return template


def properties(template: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of a template's variables by name."""
    declared = template.get("variables", {}).get("properties")
    return cast("dict[str, Any]", declared) if isinstance(declared, dict) else {}


def defaults(template: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of a template's variables. A default of null is none; an object has those of its properties beneath its own."""
    return _defaults(properties(template))


def _defaults(schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, schema in schemas.items():
        if not isinstance(schema, dict):
            continue
        value, inner = (cast("dict[str, Any]", schema).get(word) for word in ("default", "properties"))
        beneath = _defaults(cast("dict[str, Any]", inner)) if isinstance(inner, dict) else {}
        if beneath and (value is None or isinstance(value, dict)):
            value = {**beneath, **cast("dict[str, Any]", value or {})}
        if value is not None:
            found[name] = value
    return found
