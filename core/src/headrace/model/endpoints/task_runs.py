"""Task runs."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.run_queries import HistoryQuery, HistoryResponse, RunScope, TaskRunPageQuery, TaskRunQuery
from headrace.model.task_runs import TaskRun, TaskRunCreate, TaskRunPaginationResponse, TaskRunUpdate

CREATE_TASK_RUN: Endpoint[TaskRun] = Endpoint("POST", "/task_runs/", "task_runs", body=TaskRunCreate, returns=TaskRun, status=201)
READ_TASK_RUN: Endpoint[TaskRun] = Endpoint("GET", "/task_runs/{id}", "task_runs", returns=TaskRun)
UPDATE_TASK_RUN: Endpoint[None] = Endpoint("PATCH", "/task_runs/{id}", "task_runs", body=TaskRunUpdate, status=204)
DELETE_TASK_RUN: Endpoint[None] = Endpoint("DELETE", "/task_runs/{id}", "task_runs", status=204)
SET_TASK_RUN_STATE: Endpoint[OrchestrationResult] = Endpoint(
    "POST", "/task_runs/{id}/set_state", "task_runs", body=SetState, returns=OrchestrationResult, status=201
)
FILTER_TASK_RUNS: Endpoint[list[TaskRun]] = Endpoint("POST", "/task_runs/filter", "task_runs", body=TaskRunQuery, returns=list[TaskRun])
PAGINATE_TASK_RUNS: Endpoint[TaskRunPaginationResponse] = Endpoint(
    "POST", "/task_runs/paginate", "task_runs", body=TaskRunPageQuery, returns=TaskRunPaginationResponse
)
COUNT_TASK_RUNS: Endpoint[int] = Endpoint("POST", "/task_runs/count", "task_runs", body=RunScope, returns=int)
TASK_RUN_HISTORY: Endpoint[list[HistoryResponse]] = Endpoint(
    "POST", "/task_runs/history", "task_runs", body=HistoryQuery, returns=list[HistoryResponse]
)
