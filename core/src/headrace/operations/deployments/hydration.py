"""Parameters of runs as they are sent: values that stand for others are replaced, and all are checked against the flow's schema.

An object with the key `__prefect_kind` stands for a value: `none` for its `value`; `json` for what its `value`, a text, holds; `jinja` for
what its `template` renders to; `workspace_variable` for the variable of its `variable_name`.
"""

from __future__ import annotations

import json
from typing import Any, cast

from headrace.model.errors import InvalidRequest
from headrace.rules.schema_check import problems
from headrace.store.codec import json_out
from headrace.store.database import Transaction

KIND = "__prefect_kind"
DEPTH_MAX = 50

_ABSENT = object()


def hydrated(tx: Transaction, parameters: dict[str, Any], what: str = "flow run") -> dict[str, Any]:
    """Return `parameters` with all that stands for another value replaced. Raises `InvalidRequest` for what cannot be."""
    try:
        found = _hydrate(tx, parameters, 0)
    except ValueError as error:
        raise InvalidRequest(f"Error hydrating {what} parameters: {error}", status=400) from error
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def checked_parameters(schema: dict[str, Any] | None, parameters: dict[str, Any], doing: str, *, complete: bool) -> None:
    """Raise `InvalidRequest` ("Error <doing>: Validation failed. …") unless `parameters` fit `schema`.

    `complete` demands those that are required; a deployment may leave them to its runs. Null fits where a value may be left out.
    """
    if not schema:
        return
    required: list[str] = schema.get("required", [])
    given = {name: value for name, value in parameters.items() if value is not None or name in required}
    found = problems(schema if complete else {**schema, "required": []}, given)
    if found:
        raise InvalidRequest(f"Error {doing}: Validation failed. Failure reason: {'; '.join(found)}", status=409)


def _hydrate(tx: Transaction, value: Any, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise ValueError(f"they are nested more than {DEPTH_MAX} levels deep")
    if isinstance(value, list):
        items = [_hydrate(tx, item, depth + 1) for item in cast("list[Any]", value)]
        return [item for item in items if item is not _ABSENT]
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    if KIND in given:
        return _replaced(tx, given, depth)
    fields = {name: _hydrate(tx, item, depth + 1) for name, item in given.items()}
    return {name: item for name, item in fields.items() if item is not _ABSENT}


def _replaced(tx: Transaction, given: dict[str, Any], depth: int) -> Any:
    match given[KIND]:
        case None | "none":
            return _hydrate(tx, given["value"], depth + 1) if "value" in given else _ABSENT
        case "json":
            return _from_json(given["value"]) if "value" in given else _ABSENT
        case "jinja":
            return _rendered(_hydrate(tx, given["template"], depth + 1)) if "template" in given else _ABSENT
        case "workspace_variable":
            return _variable(tx, _hydrate(tx, given["variable_name"], depth + 1)) if "variable_name" in given else _ABSENT
        case unknown:
            raise ValueError(f"{unknown!r} is no kind of value; there are none, json, jinja and workspace_variable")


def _from_json(text: Any) -> Any:
    if text == "":
        return None
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Invalid JSON: {error}") from error


def _rendered(template: Any) -> str:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if not isinstance(template, str):
        raise ValueError(f"Invalid jinja: the template is {template!r}, not a text")  # noqa: TRY004  # a value of the request, not of our code
    try:
        return ImmutableSandboxedEnvironment().from_string(template).render()
    except (TemplateError, TypeError, ArithmeticError, OverflowError, RecursionError) as error:
        raise ValueError(f"Invalid jinja: {error}") from error


def _variable(tx: Transaction, name: Any) -> Any:
    row = tx.sql_one("SELECT value FROM variable WHERE name = ?", (str(name),))
    if row is None:
        raise ValueError(f"Variable {name!r} not found in workspace.")
    return json_out(row[0])
