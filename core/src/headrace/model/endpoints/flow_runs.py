"""Flow runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from headrace.model.endpoints.base import Endpoint
from headrace.model.flow_runs import FlowRun, FlowRunBulkDeleteResponse, FlowRunCreate, FlowRunPaginationResponse, FlowRunUpdate
from headrace.model.graph import Graph
from headrace.model.orchestration import FlowRunBulkSetStateResponse, OrchestrationResult, ResumeFlowRun, SetState
from headrace.model.run_queries import (
    FlowRunBulkDelete,
    FlowRunBulkSetState,
    FlowRunPageQuery,
    FlowRunQuery,
    HistoryQuery,
    HistoryResponse,
    RunScope,
)

CREATE_FLOW_RUN: Endpoint[FlowRun] = Endpoint("POST", "/flow_runs/", "flow_runs", body=FlowRunCreate, returns=FlowRun, status=201)
READ_FLOW_RUN: Endpoint[FlowRun] = Endpoint("GET", "/flow_runs/{id}", "flow_runs", returns=FlowRun)
UPDATE_FLOW_RUN: Endpoint[None] = Endpoint("PATCH", "/flow_runs/{id}", "flow_runs", body=FlowRunUpdate, status=204)
DELETE_FLOW_RUN: Endpoint[None] = Endpoint("DELETE", "/flow_runs/{id}", "flow_runs", status=204)
SET_FLOW_RUN_STATE: Endpoint[OrchestrationResult] = Endpoint(
    "POST", "/flow_runs/{id}/set_state", "flow_runs", body=SetState, returns=OrchestrationResult, status=201
)
RESUME_FLOW_RUN: Endpoint[OrchestrationResult] = Endpoint(
    "POST", "/flow_runs/{id}/resume", "flow_runs", body=ResumeFlowRun, returns=OrchestrationResult
)
UPDATE_FLOW_RUN_LABELS: Endpoint[None] = Endpoint("PATCH", "/flow_runs/{id}/labels", "flow_runs", body=dict[str, Any], status=204)
FILTER_FLOW_RUNS: Endpoint[list[FlowRun]] = Endpoint("POST", "/flow_runs/filter", "flow_runs", body=FlowRunQuery, returns=list[FlowRun])
PAGINATE_FLOW_RUNS: Endpoint[FlowRunPaginationResponse] = Endpoint(
    "POST", "/flow_runs/paginate", "flow_runs", body=FlowRunPageQuery, returns=FlowRunPaginationResponse
)
COUNT_FLOW_RUNS: Endpoint[int] = Endpoint("POST", "/flow_runs/count", "flow_runs", body=RunScope, returns=int)
FLOW_RUN_HISTORY: Endpoint[list[HistoryResponse]] = Endpoint(
    "POST", "/flow_runs/history", "flow_runs", body=HistoryQuery, returns=list[HistoryResponse]
)
FLOW_RUN_LATENESS: Endpoint[float | None] = Endpoint("POST", "/flow_runs/lateness", "flow_runs", body=RunScope, returns=float | None)
FLOW_RUN_GRAPH: Endpoint[Graph] = Endpoint(
    "GET", "/flow_runs/{id}/graph-v2", "flow_runs", returns=Graph, query=(("since", datetime | None),)
)
BULK_DELETE_FLOW_RUNS: Endpoint[FlowRunBulkDeleteResponse] = Endpoint(
    "POST", "/flow_runs/bulk_delete", "flow_runs", body=FlowRunBulkDelete, returns=FlowRunBulkDeleteResponse
)
BULK_SET_FLOW_RUN_STATE: Endpoint[FlowRunBulkSetStateResponse] = Endpoint(
    "POST", "/flow_runs/bulk_set_state", "flow_runs", body=FlowRunBulkSetState, returns=FlowRunBulkSetStateResponse
)
