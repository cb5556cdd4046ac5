"""From an endpoint to its operation. A noun's module is imported when one of its endpoints is first used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from headrace.model.caller import Caller
from headrace.model.endpoints.base import Endpoint
from headrace.store.database import Database, Transaction


@dataclass(frozen=True, slots=True)
class Operation:
    """What performs an endpoint: `fn(tx, body, **parameters)`, or `fn(tx, **parameters)` for an endpoint without a body."""

    fn: Callable[..., Any]
    writes: bool


_FOLDERS = {
    "runs": "flow_runs flows logs owners records run_inputs run_queries states task_runs task_workers",
    "blocks": "block_documents block_schemas block_types",
    "limits": "concurrency tag_limits",
    "deployments": "deployment_queries deployment_runs deployment_schedules deployments",
    "pools": "collections dispatch holding work_pools work_queues workers",
    "events": "automations events",
}
"""The folders of this room and the nouns that they hold; the other nouns have their module beside this one."""

_MODULES = {noun: f"headrace.operations.{folder}.{noun}" for folder, nouns in _FOLDERS.items() for noun in nouns.split()}

_found: dict[Endpoint[Any], Operation] = {}


def find(endpoint: Endpoint[Any]) -> Operation:
    """Return the operation of `endpoint`. Raises `LookupError` for an endpoint that no module performs."""
    operation = _found.get(endpoint)
    if operation is None:
        name = _MODULES.get(endpoint.noun, f"headrace.operations.{endpoint.noun}")
        module = import_module(name)
        _found.update(cast("dict[Endpoint[Any], Operation]", module.OPERATIONS))
        operation = _found.get(endpoint)
        if operation is None:
            raise LookupError(f"{name} has no operation for {endpoint.method} {endpoint.path}.")
    return operation


def answer(database: Database, endpoint: Endpoint[Any], body: Any, parameters: dict[str, Any], caller: Caller) -> tuple[Any, int]:
    """Perform `endpoint` for `caller` in one transaction; return the answer and its HTTP status.

    Without a body, one with every default is used where the endpoint takes one.
    """
    operation = find(endpoint)
    if endpoint.body is not None:
        given = (endpoint.body() if body is None else body,)
    else:
        given = ()

    def work(tx: Transaction) -> tuple[Any, int]:
        found = operation.fn(tx, *given, **parameters)
        return found, tx.status or endpoint.status

    if operation.writes:
        return database.transact(work, caller)
    with database.read(caller) as tx:
        return work(tx)
