"""Checking what fills a pool's base job template: the defaults of its variables, and the job variables of deployments and runs.

What only a worker can resolve passes: references to blocks (which must exist) and texts with placeholders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from headrace.model import job_templates
from headrace.model.errors import InvalidRequest, ObjectNotFound
from headrace.model.work_pools import WorkPool
from headrace.rules.schema_check import problems
from headrace.store.database import Transaction


def check_defaults(tx: Transaction, template: Mapping[str, Any]) -> None:
    """Check the defaults of a template's variables. Raises `InvalidRequest`; `ObjectNotFound` for a block that does not exist."""
    _check(tx, dict(template), job_templates.defaults(dict(template)), complete=False, doing="checking the base job template", status=422)


def check_job_variables(
    tx: Transaction, pool: WorkPool, variables: Mapping[str, Any], *, complete: bool, doing: str = "creating deployment", status: int = 409
) -> None:
    """Check job variables against the variables that a pool's template declares.

    `complete` adds the template's defaults and demands every required variable, as a run needs it; a deployment may leave some to its runs.
    `doing` begins the message: "Error <doing>: Validation failed. …". Raises `InvalidRequest` with `status`; `ObjectNotFound` for a block that
    does not exist.
    """
    template = pool.base_job_template
    given = {**job_templates.defaults(template), **variables} if complete else dict(variables)
    _check(tx, template, given, complete=complete, doing=doing, status=status)


def _check(tx: Transaction, template: dict[str, Any], values: dict[str, Any], *, complete: bool, doing: str, status: int) -> None:
    declared = template.get("variables")
    if not isinstance(declared, dict):
        return
    schema = cast("dict[str, Any]", declared)
    required: list[str] = schema.get("required", []) if complete else []
    left_to_worker = {name for name, value in values.items() if _is_left_to_worker(tx, value)}
    checked = {
        name: _without_nulls(value) for name, value in values.items() if name not in left_to_worker and (value is not None or name in required)
    }
    found = problems({**schema, "required": [name for name in required if name not in left_to_worker]}, checked)
    if found:
        raise InvalidRequest(f"Error {doing}: Validation failed. Failure reason: {'; '.join(found)}", status=status)


def _is_left_to_worker(tx: Transaction, value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value
    target = cast("dict[str, Any]", value).get("$ref") if isinstance(value, dict) else None
    if not isinstance(target, dict) or "block_document_id" not in target:
        return False
    try:
        block = UUID(str(cast("dict[str, Any]", target)["block_document_id"]))
    except ValueError:
        raise InvalidRequest(f"A reference to a block must hold its id; {target['block_document_id']!r} is none.") from None
    if tx.sql_one("SELECT 1 FROM block_document WHERE id = ?", (block.bytes,)) is None:
        raise ObjectNotFound(f"Block not found: no block document has the id {block}.")
    return True


def _without_nulls(value: Any) -> Any:
    """Leave out nulls inside objects: there, null takes a value away, whatever its type."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in cast("dict[str, Any]", value).items() if item is not None}
    return value
