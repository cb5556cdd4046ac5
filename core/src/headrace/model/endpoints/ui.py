"""Routes for user interfaces."""

from __future__ import annotations

from uuid import UUID

from headrace.model.endpoints.base import Endpoint
from headrace.model.run_queries import RunScope
from headrace.model.ui import (
    CountByState,
    FlowIds,
    FlowRunIds,
    FlowRunPoints,
    SchemaValues,
    SchemaValuesValidationResponse,
    SimpleFlowRun,
    SimpleNextFlowRun,
    TaskRunCountsQuery,
    UITaskRun,
)

_Counts = dict[UUID, int]
_Next = dict[UUID, SimpleNextFlowRun | None]

COUNT_DEPLOYMENTS_BY_FLOW: Endpoint[_Counts] = Endpoint("POST", "/ui/flows/count-deployments", "ui", FlowIds, _Counts)
NEXT_RUNS_BY_FLOW: Endpoint[_Next] = Endpoint("POST", "/ui/flows/next-runs", "ui", FlowIds, _Next)
FLOW_RUN_POINTS: Endpoint[list[SimpleFlowRun]] = Endpoint("POST", "/ui/flow_runs/history", "ui", FlowRunPoints, list[SimpleFlowRun])
COUNT_TASK_RUNS_BY_FLOW_RUN: Endpoint[_Counts] = Endpoint("POST", "/ui/flow_runs/count-task-runs", "ui", FlowRunIds, _Counts)
COUNT_TASK_RUNS_OVER_TIME: Endpoint[list[dict[str, int]]] = Endpoint(
    "POST", "/ui/task_runs/dashboard/counts", "ui", TaskRunCountsQuery, list[dict[str, int]]
)
COUNT_TASK_RUNS_BY_STATE: Endpoint[CountByState] = Endpoint("POST", "/ui/task_runs/count", "ui", RunScope, CountByState)
READ_UI_TASK_RUN: Endpoint[UITaskRun] = Endpoint("GET", "/ui/task_runs/{id}", "ui", returns=UITaskRun)
VALIDATE_SCHEMA_VALUES: Endpoint[SchemaValuesValidationResponse] = Endpoint(
    "POST", "/ui/schemas/validate", "ui", SchemaValues, SchemaValuesValidationResponse
)
