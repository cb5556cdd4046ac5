"""Checking values against a JSON schema: the part of JSON Schema (draft 2020-12) that schemas of parameters and run inputs use.

Unknown keywords (such as `format` and titles) are passed over; what is not understood is not refused, since the run checks its inputs itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

Schema = Mapping[str, Any]

DEPTH_MAX = 64


def problems(schema: Any, value: Any) -> list[str]:
    """Return what is wrong with `value`, each with the place it is at; nothing when it fits."""
    return _check(schema, value, "", cast("Schema", schema) if isinstance(schema, dict) else {}, 0)


def _check(schema: Any, value: Any, path: str, root: Schema, depth: int) -> list[str]:
    if schema is False:
        return [f"{path or 'value'} is not allowed"]
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        return []
    given = cast("Schema", schema)
    if "$ref" in given:
        return _check(_resolve(given["$ref"], root), value, path, root, depth + 1)
    place = path or "value"
    found: list[str] = []
    kinds = given.get("type")
    if kinds is not None:
        choices = cast("list[str]", kinds) if isinstance(kinds, list) else [str(kinds)]
        if not any(_is_type(value, kind) for kind in choices):
            return [f"{place} is {_shown(value)}, not of type {' or '.join(choices)}"]
    if "enum" in given and value not in given["enum"]:
        found.append(f"{place} is {_shown(value)}, not one of {', '.join(_shown(choice) for choice in given['enum'])}")
    if "const" in given and value != given["const"]:
        found.append(f"{place} is {_shown(value)}, not {_shown(given['const'])}")
    for part in given.get("allOf", ()):
        found += _check(part, value, path, root, depth + 1)
    for word in ("anyOf", "oneOf"):
        parts = given.get(word)
        if parts:
            tries = [_check(part, value, path, root, depth + 1) for part in parts]
            if all(tries):
                found += min(tries, key=len)
    if isinstance(value, dict):
        found += _check_object(given, cast("dict[str, Any]", value), path, root, depth)
    elif isinstance(value, list):
        found += _check_list(given, cast("list[Any]", value), path, root, depth)
    elif isinstance(value, str):
        found += _check_text(given, value, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found += [
            f"{place} is {value}, which {text} {given[word]}"
            for word, (text, fits) in _NUMBERS.items()
            if word in given and not fits(value, given[word])
        ]
    return found


_NUMBERS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "minimum": ("is less than", lambda value, limit: value >= limit),
    "maximum": ("is more than", lambda value, limit: value <= limit),
    "exclusiveMinimum": ("is not more than", lambda value, limit: value > limit),
    "exclusiveMaximum": ("is not less than", lambda value, limit: value < limit),
    "multipleOf": ("is no multiple of", lambda value, step: value % step == 0),
}


def _check_object(schema: Schema, value: dict[str, Any], path: str, root: Schema, depth: int) -> list[str]:
    properties: Schema = schema.get("properties", {})
    found = [f"{_join(path, name)} is required" for name in schema.get("required", ()) if name not in value]
    rest = schema.get("additionalProperties", True)
    for name, item in value.items():
        part = properties.get(name, rest)
        if part is False:
            found.append(f"{_join(path, name)} is unknown")
        else:
            found += _check(part, item, _join(path, name), root, depth + 1)
    return found


def _check_list(schema: Schema, value: list[Any], path: str, root: Schema, depth: int) -> list[str]:
    found: list[str] = []
    if len(value) < schema.get("minItems", 0):
        found.append(f"{path or 'value'} has {len(value)} items, less than {schema['minItems']}")
    if len(value) > schema.get("maxItems", len(value)):
        found.append(f"{path or 'value'} has {len(value)} items, more than {schema['maxItems']}")
    first: list[Any] = schema.get("prefixItems", [])
    for index, item in enumerate(value):
        part = first[index] if index < len(first) else schema.get("items", True)
        found += _check(part, item, f"{path}[{index}]", root, depth + 1)
    return found


def _check_text(schema: Schema, value: str, place: str) -> list[str]:
    found: list[str] = []
    if len(value) < schema.get("minLength", 0):
        found.append(f"{place} is shorter than {schema['minLength']} characters")
    if len(value) > schema.get("maxLength", len(value)):
        found.append(f"{place} is longer than {schema['maxLength']} characters")
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        found.append(f"{place} does not match {schema['pattern']!r}")
    return found


def _is_type(value: Any, kind: str) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return True


def _resolve(reference: Any, root: Schema) -> Any:
    found: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        if part:
            found = cast("Schema", found).get(part, {}) if isinstance(found, dict) else {}
    return found


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
