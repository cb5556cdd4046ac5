"""Deployments, their schedules, and runs of them."""

from __future__ import annotations

from headrace.model.deployments import (
    Deployment,
    DeploymentBulkDelete,
    DeploymentBulkDeleteResponse,
    DeploymentCreate,
    DeploymentFlowRunCreate,
    DeploymentPageQuery,
    DeploymentPaginationResponse,
    DeploymentQuery,
    DeploymentUpdate,
    FlowRunBulkCreateResponse,
    ScheduleDeployment,
    ScheduledRunsQuery,
)
from headrace.model.endpoints.base import Endpoint
from headrace.model.flow_runs import FlowRun
from headrace.model.run_queries import RunScope
from headrace.model.schedules import DeploymentSchedule, DeploymentScheduleCreate, DeploymentScheduleUpdate
from headrace.model.work_queues import WorkQueue

_NOUN = "deployments"
_QUERIES = "deployment_queries"
_SCHEDULES = "deployment_schedules"
_RUNS = "deployment_runs"

CREATE_DEPLOYMENT: Endpoint[Deployment] = Endpoint("POST", "/deployments/", _NOUN, body=DeploymentCreate, returns=Deployment, status=201)
READ_DEPLOYMENT: Endpoint[Deployment] = Endpoint("GET", "/deployments/{id}", _NOUN, returns=Deployment)
READ_DEPLOYMENT_BY_NAME: Endpoint[Deployment] = Endpoint("GET", "/deployments/name/{flow_name}/{deployment_name}", _NOUN, returns=Deployment)
UPDATE_DEPLOYMENT: Endpoint[None] = Endpoint("PATCH", "/deployments/{id}", _NOUN, body=DeploymentUpdate, status=204)
DELETE_DEPLOYMENT: Endpoint[None] = Endpoint("DELETE", "/deployments/{id}", _NOUN, status=204)
PAUSE_DEPLOYMENT: Endpoint[None] = Endpoint("POST", "/deployments/{id}/pause_deployment", _NOUN)
RESUME_DEPLOYMENT: Endpoint[None] = Endpoint("POST", "/deployments/{id}/resume_deployment", _NOUN)

FILTER_DEPLOYMENTS: Endpoint[list[Deployment]] = Endpoint("POST", "/deployments/filter", _QUERIES, body=DeploymentQuery, returns=list[Deployment])
PAGINATE_DEPLOYMENTS: Endpoint[DeploymentPaginationResponse] = Endpoint(
    "POST", "/deployments/paginate", _QUERIES, body=DeploymentPageQuery, returns=DeploymentPaginationResponse
)
COUNT_DEPLOYMENTS: Endpoint[int] = Endpoint("POST", "/deployments/count", _QUERIES, body=RunScope, returns=int)
BULK_DELETE_DEPLOYMENTS: Endpoint[DeploymentBulkDeleteResponse] = Endpoint(
    "POST", "/deployments/bulk_delete", _QUERIES, body=DeploymentBulkDelete, returns=DeploymentBulkDeleteResponse
)
WORK_QUEUE_CHECK: Endpoint[list[WorkQueue]] = Endpoint("GET", "/deployments/{id}/work_queue_check", _QUERIES, returns=list[WorkQueue])

READ_SCHEDULES: Endpoint[list[DeploymentSchedule]] = Endpoint("GET", "/deployments/{id}/schedules", _SCHEDULES, returns=list[DeploymentSchedule])
CREATE_SCHEDULES: Endpoint[list[DeploymentSchedule]] = Endpoint(
    "POST", "/deployments/{id}/schedules", _SCHEDULES, body=list[DeploymentScheduleCreate], returns=list[DeploymentSchedule], status=201
)
UPDATE_SCHEDULE: Endpoint[None] = Endpoint(
    "PATCH", "/deployments/{id}/schedules/{schedule_id}", _SCHEDULES, body=DeploymentScheduleUpdate, status=204
)
DELETE_SCHEDULE: Endpoint[None] = Endpoint("DELETE", "/deployments/{id}/schedules/{schedule_id}", _SCHEDULES, status=204)

SCHEDULE_DEPLOYMENT: Endpoint[None] = Endpoint("POST", "/deployments/{id}/schedule", _RUNS, body=ScheduleDeployment)
CREATE_RUN_OF_DEPLOYMENT: Endpoint[FlowRun] = Endpoint(
    "POST", "/deployments/{id}/create_flow_run", _RUNS, body=DeploymentFlowRunCreate, returns=FlowRun, status=201
)
CREATE_RUNS_OF_DEPLOYMENT: Endpoint[FlowRunBulkCreateResponse] = Endpoint(
    "POST", "/deployments/{id}/create_flow_run/bulk", _RUNS, body=list[DeploymentFlowRunCreate], returns=FlowRunBulkCreateResponse
)
GET_SCHEDULED_RUNS: Endpoint[list[FlowRun]] = Endpoint(
    "POST", "/deployments/get_scheduled_flow_runs", _RUNS, body=ScheduledRunsQuery, returns=list[FlowRun]
)
