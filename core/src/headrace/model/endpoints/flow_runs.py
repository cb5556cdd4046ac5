"""Flow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.model.endpoints.base import Endpoint
from headrace.model.flow_runs import FlowRun, FlowRunCreate, FlowRunUpdate
from headrace.model.orchestration import OrchestrationResult, ResumeRun, SetState

if TYPE_CHECKING:
    from headrace.model.endpoints.run_queries import (
        BULK_DELETE_FLOW_RUNS,
        BULK_SET_FLOW_RUN_STATE,
        COUNT_FLOW_RUNS,
        FILTER_FLOW_RUNS,
        FLOW_RUN_DEPENDENCIES,
        FLOW_RUN_GRAPH,
        FLOW_RUN_HISTORY,
        FLOW_RUN_LATENESS,
        PAGINATE_FLOW_RUNS,
    )

__all__ = [
    "BULK_DELETE_FLOW_RUNS",
    "BULK_SET_FLOW_RUN_STATE",
    "COUNT_FLOW_RUNS",
    "CREATE_FLOW_RUN",
    "DELETE_FLOW_RUN",
    "FILTER_FLOW_RUNS",
    "FLOW_RUN_DEPENDENCIES",
    "FLOW_RUN_GRAPH",
    "FLOW_RUN_HISTORY",
    "FLOW_RUN_LATENESS",
    "PAGINATE_FLOW_RUNS",
    "READ_FLOW_RUN",
    "RESUME_FLOW_RUN",
    "SET_FLOW_RUN_STATE",
    "UPDATE_FLOW_RUN",
    "UPDATE_FLOW_RUN_LABELS",
]

CREATE_FLOW_RUN: Endpoint[FlowRun] = Endpoint("POST", "/flow_runs/", "flow_runs", body=FlowRunCreate, returns=FlowRun, status=201)
READ_FLOW_RUN: Endpoint[FlowRun] = Endpoint("GET", "/flow_runs/{id}", "flow_runs", returns=FlowRun)
UPDATE_FLOW_RUN: Endpoint[None] = Endpoint("PATCH", "/flow_runs/{id}", "flow_runs", body=FlowRunUpdate, status=204)
DELETE_FLOW_RUN: Endpoint[None] = Endpoint("DELETE", "/flow_runs/{id}", "flow_runs", status=204)
SET_FLOW_RUN_STATE: Endpoint[OrchestrationResult] = Endpoint(
    "POST", "/flow_runs/{id}/set_state", "flow_runs", body=SetState, returns=OrchestrationResult, status=201
)
RESUME_FLOW_RUN: Endpoint[OrchestrationResult] = Endpoint(
    "POST", "/flow_runs/{id}/resume", "flow_runs", body=ResumeRun, returns=OrchestrationResult, status=201
)
UPDATE_FLOW_RUN_LABELS: Endpoint[None] = Endpoint("PATCH", "/flow_runs/{id}/labels", "flow_runs", body=dict[str, Any], status=204)


def __getattr__(name: str) -> Any:
    """Find the listing endpoints where they stand: their filters are many classes, which running a flow needs not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from headrace.model.endpoints import run_queries

    return getattr(run_queries, name)
