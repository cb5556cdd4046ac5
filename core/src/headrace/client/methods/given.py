"""Values that a caller gave."""

from __future__ import annotations

from typing import Any


def given(**values: Any) -> dict[str, Any]:
    """Return the values that are not None: what is not given is left as it is, or gets its default."""
    return {name: value for name, value in values.items() if value is not None}


_SCOPE = {
    "flow_filter": "flows",
    "flow_run_filter": "flow_runs",
    "task_run_filter": "task_runs",
    "deployment_filter": "deployments",
    "work_pool_filter": "work_pools",
    "work_queue_filter": "work_pool_queues",
}


def scope(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the filters among the arguments of a documented method, by the names that queries have for them."""
    return {name: arguments[argument] for argument, name in _SCOPE.items()}
