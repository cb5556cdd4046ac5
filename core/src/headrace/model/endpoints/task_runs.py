"""Task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.model.endpoints.base import Endpoint
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.task_runs import TaskRun, TaskRunCreate, TaskRunUpdate

if TYPE_CHECKING:
    from headrace.model.endpoints.run_queries import (
        COUNT_TASK_RUNS,
        FILTER_TASK_RUNS,
        PAGINATE_TASK_RUNS,
        TASK_RUN_HISTORY,
    )

__all__ = [
    "COUNT_TASK_RUNS",
    "CREATE_TASK_RUN",
    "DELETE_TASK_RUN",
    "FILTER_TASK_RUNS",
    "PAGINATE_TASK_RUNS",
    "READ_TASK_RUN",
    "SET_TASK_RUN_STATE",
    "TASK_RUN_HISTORY",
    "UPDATE_TASK_RUN",
]

CREATE_TASK_RUN: Endpoint[TaskRun] = Endpoint("POST", "/task_runs/", "task_runs", body=TaskRunCreate, returns=TaskRun, status=201)
READ_TASK_RUN: Endpoint[TaskRun] = Endpoint("GET", "/task_runs/{id}", "task_runs", returns=TaskRun)
UPDATE_TASK_RUN: Endpoint[None] = Endpoint("PATCH", "/task_runs/{id}", "task_runs", body=TaskRunUpdate, status=204)
DELETE_TASK_RUN: Endpoint[None] = Endpoint("DELETE", "/task_runs/{id}", "task_runs", status=204)
SET_TASK_RUN_STATE: Endpoint[OrchestrationResult] = Endpoint(
    "POST", "/task_runs/{id}/set_state", "task_runs", body=SetState, returns=OrchestrationResult, status=201
)


def __getattr__(name: str) -> Any:
    """Find the listing endpoints where they stand: their filters are many classes, which running a flow needs not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from headrace.model.endpoints import run_queries

    return getattr(run_queries, name)
