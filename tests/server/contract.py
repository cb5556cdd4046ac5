"""The documented API as data, and holding ours against it.

`contract.json` was made with `compact` from the documented server's OpenAPI document. In it a type is a word ("string", "null", "any"), the name
of a schema ("#FlowRun"), a list of one type, or an object: `{"enum": …}`, `{"map": type}`, `{"any": [types]}`, `{"fields": {name: field}}`, where a
field is `[type, is it required, its default if it has one]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Type = Any
Document = dict[str, Any]

FILE = Path(__file__).parent / "contract.json"
BASE = "/api"
ABSENT = "absent"


def contract() -> Document:
    return json.loads(FILE.read_text(encoding="utf-8"))


def compact(document: Document) -> Document:
    """Leave of an OpenAPI document what a client relies on."""
    routes = {
        f"{method.upper()} {re.sub('{[^}]*}', '{}', path.removeprefix(BASE))}": _route(route)
        for path, methods in document["paths"].items()
        for method, route in methods.items()
    }
    return {"routes": routes, "schemas": {name: _type(schema) for name, schema in document["components"]["schemas"].items()}}


def _route(route: Document) -> Document:
    found: Document = {
        "parameters": {
            f"{one['in']} {one['name'].lower()}": _field(one["schema"], one.get("required", False))
            for one in route.get("parameters", ())
            if one["in"] != "path"
        },
        "returns": {status: _content(answer) for status, answer in route["responses"].items() if status.startswith("2")},
    }
    if "requestBody" in route:
        found["body"] = [_content(route["requestBody"]), route["requestBody"].get("required", False)]
    return found


def _content(given: Document) -> Type:
    schemas = [one.get("schema", {}) for one in given.get("content", {}).values()]
    return _type(schemas[0]) if schemas else "any"


def _field(schema: Document, is_required: bool) -> list[Any]:
    return [_type(schema), is_required, *([schema["default"]] if "default" in schema else [])]


def _type(schema: Document) -> Type:
    if "$ref" in schema:
        return "#" + schema["$ref"].rpartition("/")[2]
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return _type(schema["allOf"][0])
    parts = schema.get("anyOf") or schema.get("oneOf")
    if parts:
        return {"any": [_type(part) for part in parts]}
    if "enum" in schema or "const" in schema:
        return {"enum": schema.get("enum", [schema.get("const")])}
    if "properties" in schema:
        needed = schema.get("required", ())
        return {"fields": {name: _field(one, name in needed) for name, one in schema["properties"].items()}}
    if "items" in schema:
        return [_type(schema["items"])]
    if isinstance(schema.get("additionalProperties"), dict):
        return {"map": _type(schema["additionalProperties"])}
    return schema.get("type", "any")


class Comparison:
    """Finds what a client of `wanted` would miss in `given`. What `given` has in addition does not matter."""

    def __init__(self, wanted: Document, given: Document) -> None:
        self.wanted, self.given = wanted, given
        self.known: dict[tuple[str, str, bool], list[str]] = {}

    def problems(self) -> list[str]:
        return list(dict.fromkeys(self._of_routes()))

    def _of_routes(self) -> Iterator[str]:
        for name, route in self.wanted["routes"].items():
            ours = self.given["routes"].get(name)
            if ours is None:
                yield f"{name}: missing"
                continue
            for parameter, field in route["parameters"].items():
                yield from self._field(f"{name} {parameter}", field, ours["parameters"].get(parameter), is_sent=True)
            if "body" in route:
                yield from self._body(f"{name} body", route["body"], ours.get("body"))
            for status, kind in route["returns"].items():
                if status not in ours["returns"]:
                    yield f"{name}: status {status} is missing"
                else:
                    yield from self._covers(f"{name} {status}", kind, ours["returns"][status], is_sent=False)

    def _body(self, where: str, wanted: list[Any], given: list[Any] | None) -> Iterator[str]:
        if given is None:
            yield f"{where}: missing"
        elif given[1] and not wanted[1]:
            yield f"{where}: is required"
        else:
            yield from self._covers(where, wanted[0], given[0], is_sent=True)

    def _field(self, where: str, wanted: list[Any], given: list[Any] | None, *, is_sent: bool) -> Iterator[str]:
        if given is None:
            yield f"{where}: missing"
            return
        if is_sent and wanted[1] != given[1]:
            yield f"{where}: required is {given[1]}, not {wanted[1]}"
        defaults = [next(iter(field[2:]), None) for field in (wanted, given)]
        if is_sent and defaults[0] != defaults[1]:
            yield f"{where}: default is {defaults[1]!r}, not {defaults[0]!r}"
        yield from self._covers(where, wanted[0], given[0], is_sent=is_sent)

    def _covers(self, where: str, wanted: Type, given: Type, *, is_sent: bool) -> Iterator[str]:
        key = (json.dumps(wanted), json.dumps(given), is_sent)
        if key not in self.known:
            self.known[key] = []  # while it is being compared: types refer to themselves
            self.known[key] = list(self._fresh(where, wanted, given, is_sent=is_sent))
        yield from self.known[key]

    def _fresh(self, where: str, wanted: Type, given: Type, *, is_sent: bool) -> Iterator[str]:
        choices = list(_choices(given, self.given["schemas"]))
        for kind in _choices(wanted, self.wanted["schemas"]):
            if kind == "null" and not is_sent:
                continue
            tries = [list(self._matches(where, kind, choice, is_sent=is_sent)) for choice in choices]
            if all(tries):
                yield from min(tries, key=len)

    def _matches(self, where: str, wanted: Type, given: Type, *, is_sent: bool) -> Iterator[str]:
        if "any" in (wanted, given) or (isinstance(wanted, str) and wanted == given) or (wanted, given) == ("integer", "number"):
            return
        if given == "object" or (wanted == "object" and isinstance(given, dict) and "enum" not in given):
            return
        if isinstance(wanted, list) and isinstance(given, list):
            yield from self._covers(f"{where}[]", wanted[0], given[0], is_sent=is_sent)
        elif isinstance(wanted, dict) and isinstance(given, dict) and wanted.keys() == given.keys():
            if "enum" in wanted:
                missing = [value for value in wanted["enum"] if value not in given["enum"]]
                yield from [f"{where}: values {missing} are missing"] if missing else ()
            elif "map" in wanted:
                yield from self._covers(f"{where}{{}}", wanted["map"], given["map"], is_sent=is_sent)
            else:
                for name, field in wanted["fields"].items():
                    yield from self._field(f"{where}.{name}", field, given["fields"].get(name), is_sent=is_sent)
        elif not (wanted == "string" and isinstance(given, dict) and "enum" in given):
            yield f"{where}: {json.dumps(given)[:60]} stands for {json.dumps(wanted)[:60]}"


def _choices(kind: Type, schemas: dict[str, Type]) -> Iterator[Type]:
    """Return what a type may be: names and unions are opened."""
    if isinstance(kind, str) and kind.startswith("#"):
        yield from _choices(schemas[kind[1:]], schemas)
    elif isinstance(kind, dict) and "any" in kind:
        for one in kind["any"]:
            yield from _choices(one, schemas)
    else:
        yield kind
