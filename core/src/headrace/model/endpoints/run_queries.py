"""Listing, counting, paging, charting and bulk-changing flows, flow runs, task runs and logs.

The names can also be had from the file of each noun, which loads this one when asked.
"""

from __future__ import annotations

from datetime import UTC, datetime

from headrace.model.endpoints.base import Endpoint
from headrace.model.flow_runs import FlowRun, FlowRunBulkDeleteResponse, FlowRunPaginationResponse
from headrace.model.flows import Flow, FlowBulkDeleteResponse, FlowPaginationResponse
from headrace.model.graph import DependencyResult, Graph
from headrace.model.logs import Log
from headrace.model.orchestration import FlowRunBulkSetStateResponse
from headrace.model.run_queries import (
    FlowBulkDelete,
    FlowPageQuery,
    FlowQuery,
    FlowRunBulkDelete,
    FlowRunBulkSetState,
    FlowRunPageQuery,
    FlowRunQuery,
    HistoryQuery,
    HistoryResponse,
    LogQuery,
    RunScope,
    TaskRunPageQuery,
    TaskRunQuery,
)
from headrace.model.task_runs import TaskRun, TaskRunPaginationResponse

FILTER_FLOWS: Endpoint[list[Flow]] = Endpoint("POST", "/flows/filter", "run_queries", body=FlowQuery, returns=list[Flow])
PAGINATE_FLOWS: Endpoint[FlowPaginationResponse] = Endpoint(
    "POST", "/flows/paginate", "run_queries", body=FlowPageQuery, returns=FlowPaginationResponse
)
COUNT_FLOWS: Endpoint[int] = Endpoint("POST", "/flows/count", "run_queries", body=RunScope, returns=int)
BULK_DELETE_FLOWS: Endpoint[FlowBulkDeleteResponse] = Endpoint(
    "POST", "/flows/bulk_delete", "run_queries", body=FlowBulkDelete, returns=FlowBulkDeleteResponse
)
FILTER_FLOW_RUNS: Endpoint[list[FlowRun]] = Endpoint("POST", "/flow_runs/filter", "run_queries", body=FlowRunQuery, returns=list[FlowRun])
PAGINATE_FLOW_RUNS: Endpoint[FlowRunPaginationResponse] = Endpoint(
    "POST", "/flow_runs/paginate", "run_queries", body=FlowRunPageQuery, returns=FlowRunPaginationResponse
)
COUNT_FLOW_RUNS: Endpoint[int] = Endpoint("POST", "/flow_runs/count", "run_queries", body=RunScope, returns=int)
FLOW_RUN_HISTORY: Endpoint[list[HistoryResponse]] = Endpoint(
    "POST", "/flow_runs/history", "run_queries", body=HistoryQuery, returns=list[HistoryResponse]
)
FLOW_RUN_LATENESS: Endpoint[float | None] = Endpoint("POST", "/flow_runs/lateness", "run_queries", body=RunScope, returns=float | None)
FLOW_RUN_GRAPH: Endpoint[Graph] = Endpoint(
    "GET", "/flow_runs/{id}/graph-v2", "run_queries", returns=Graph, query=(("since", datetime, datetime.min.replace(tzinfo=UTC)),)
)
BULK_DELETE_FLOW_RUNS: Endpoint[FlowRunBulkDeleteResponse] = Endpoint(
    "POST", "/flow_runs/bulk_delete", "run_queries", body=FlowRunBulkDelete, returns=FlowRunBulkDeleteResponse
)
BULK_SET_FLOW_RUN_STATE: Endpoint[FlowRunBulkSetStateResponse] = Endpoint(
    "POST", "/flow_runs/bulk_set_state", "run_queries", body=FlowRunBulkSetState, returns=FlowRunBulkSetStateResponse
)
FILTER_TASK_RUNS: Endpoint[list[TaskRun]] = Endpoint("POST", "/task_runs/filter", "run_queries", body=TaskRunQuery, returns=list[TaskRun])
PAGINATE_TASK_RUNS: Endpoint[TaskRunPaginationResponse] = Endpoint(
    "POST", "/task_runs/paginate", "run_queries", body=TaskRunPageQuery, returns=TaskRunPaginationResponse
)
COUNT_TASK_RUNS: Endpoint[int] = Endpoint("POST", "/task_runs/count", "run_queries", body=RunScope, returns=int)
TASK_RUN_HISTORY: Endpoint[list[HistoryResponse]] = Endpoint(
    "POST", "/task_runs/history", "run_queries", body=HistoryQuery, returns=list[HistoryResponse]
)
FILTER_LOGS: Endpoint[list[Log]] = Endpoint("POST", "/logs/filter", "run_queries", body=LogQuery, returns=list[Log])
FLOW_RUN_DEPENDENCIES: Endpoint[list[DependencyResult]] = Endpoint("GET", "/flow_runs/{id}/graph", "run_queries", returns=list[DependencyResult])
