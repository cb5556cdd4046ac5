"""Runs of deployments: made on request, made of schedules, handed to those who run them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.deployments import (
    Deployment,
    DeploymentFlowRunCreate,
    FlowRunBulkCreateResponse,
    FlowRunCreateResult,
    ScheduleDeployment,
    ScheduledRunsQuery,
)
from headrace.model.endpoints import deployments as endpoints
from headrace.model.errors import HeadraceException, InvalidRequest, StoreError
from headrace.model.flow_runs import FlowRun, FlowRunCreate
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.work_queues import WorkQueue
from headrace.operations.conditions import field_of
from headrace.operations.deployments import deployment_readiness, scheduling
from headrace.operations.deployments.deployment_rows import find_deployment, parts
from headrace.operations.deployments.hydration import checked_parameters, hydrated
from headrace.operations.pages import page_limit
from headrace.operations.pools.job_templates import check_job_variables
from headrace.operations.pools.pool_rows import find_pool, queue_with_id
from headrace.operations.pools.work_queues import ensure_queue
from headrace.operations.runs.encoding import flow_run_out
from headrace.operations.runs.flow_runs import insert_flow_run
from headrace.operations.table import Operation
from headrace.store.codec import json_in, json_out, time_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

RUNS_AT_ONCE_MAX = 100


def create_run(tx: Transaction, body: DeploymentFlowRunCreate, *, id: UUID) -> FlowRun:
    """Make a run of a deployment; a repeated idempotency key answers the first run.

    Parameters are the deployment's, overridden by those given; tags of both are joined; without a state it is scheduled for now. Raises
    `ObjectNotFound`; `InvalidRequest` for parameters that do not fit their schema (unless that is switched off), job variables that the pool
    does not know, and a work queue for a deployment without a pool.
    """
    return _create(tx, find_deployment(tx, id), body)


def create_runs(tx: Transaction, body: list[DeploymentFlowRunCreate], *, id: UUID) -> FlowRunBulkCreateResponse:
    """Make several runs of a deployment; each gets its own answer. Raises `ObjectNotFound`, `InvalidRequest` for more than 100."""
    if len(body) > RUNS_AT_ONCE_MAX:
        raise InvalidRequest(f"Cannot create more than {RUNS_AT_ONCE_MAX} flow runs in a single request; {len(body)} were given.", status=400)
    deployment = find_deployment(tx, id)
    results: list[FlowRunCreateResult] = []
    for one in body:
        try:
            run = _create(tx, deployment, one)
        except StoreError:
            raise
        except HeadraceException as error:  # raised before anything was written
            results.append(FlowRunCreateResult(status="FAILED", error=str(error)))
        else:
            results.append(FlowRunCreateResult(flow_run_id=run.id, status="CREATED"))
    tx.status = None
    return FlowRunBulkCreateResponse(results=results)


def _create(tx: Transaction, deployment: Deployment, body: DeploymentFlowRunCreate) -> FlowRun:
    parameters = hydrated(tx, {**deployment.parameters, **body.parameters})
    is_enforced = deployment.enforce_parameter_schema if body.enforce_parameter_schema is None else body.enforce_parameter_schema
    checked_parameters(deployment.parameter_openapi_schema if is_enforced else None, parameters, "creating flow run", complete=True)
    if body.work_queue_name is not None and deployment.work_pool_name is None:
        raise InvalidRequest(
            f"Cannot create flow run with work queue {body.work_queue_name!r} because the deployment {deployment.name!r} has no work pool.",
            status=400,
        )
    if deployment.work_pool_name is not None:
        variables = {**deployment.job_variables, **(body.job_variables or {})}
        check_job_variables(tx, find_pool(tx, deployment.work_pool_name), variables, complete=True, doing="creating flow run")
    if body.idempotency_key is not None:
        found = tx.sql_one(statements.SELECT_FLOW_RUN_BY_KEY, (deployment.flow_id.bytes, body.idempotency_key))
        if found is not None:
            tx.status = 200
            return flow_run_out(found, clock.now_us())
    return insert_flow_run(
        tx,
        _run_of(deployment, body, parameters),
        _labels(tx, deployment, body),
        _queue(tx, deployment, body),
        deployment.version,
        json_in(tx.caller.created_by or _creator(tx, body.parent_task_run_id)),
    )


def _run_of(deployment: Deployment, body: DeploymentFlowRunCreate, parameters: dict[str, Any]) -> FlowRunCreate:
    state = body.state or StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=clock.now()))
    return FlowRunCreate.model_construct(
        flow_id=deployment.flow_id,
        state=state,
        name=body.name or "",
        flow_version=None,
        parameters=parameters,
        context=body.context,
        parent_task_run_id=body.parent_task_run_id,
        infrastructure_document_id=body.infrastructure_document_id or deployment.infrastructure_document_id,
        empirical_policy=body.empirical_policy,
        tags=sorted({*deployment.tags, *body.tags}),
        idempotency_key=body.idempotency_key,
        job_variables=body.job_variables,
        deployment_id=deployment.id,
    )


def _labels(tx: Transaction, deployment: Deployment, body: DeploymentFlowRunCreate) -> dict[str, Any]:
    row = tx.sql_one("SELECT labels FROM flow WHERE id = ?", (deployment.flow_id.bytes,))
    of_flow: Mapping[str, Any] = (json_out(row[0]) if row is not None else None) or {}
    own = {key: value for key, value in deployment.labels.items() if key != "prefect.flow.id"}
    return {**of_flow, **own, **(body.labels or {})}


def _queue(tx: Transaction, deployment: Deployment, body: DeploymentFlowRunCreate) -> WorkQueue | None:
    if body.work_queue_name is not None:
        return ensure_queue(tx, deployment.work_pool_name, body.work_queue_name)
    return queue_with_id(tx, deployment.work_queue_id) if deployment.work_queue_id is not None else None


def _creator(tx: Transaction, parent_task_run: UUID | None) -> dict[str, Any] | None:
    """Return the deployment whose run asks for this run, if one does."""
    if parent_task_run is None:
        return None
    row = tx.sql_one(
        "SELECT d.id, d.name FROM task_run t JOIN flow_run r ON r.id = t.flow_run_id JOIN deployment d ON d.id = r.deployment_id WHERE t.id = ?",
        (parent_task_run.bytes,),
    )
    return {"id": str(UUID(bytes=row[0])), "type": "DEPLOYMENT", "display_value": row[1]} if row is not None else None


def schedule_deployment(tx: Transaction, body: ScheduleDeployment, *, id: UUID) -> None:
    """Make runs of a deployment's schedules in a span of time, which may lie in the past. Raises `ObjectNotFound`."""
    find_deployment(tx, id)
    usual = scheduling.usual(clock.now())
    start = body.start_time or usual.start
    wanted = scheduling.Wanted(
        start=start,
        reach=usual.reach if body.min_time is None else timedelta(seconds=body.min_time),
        end=body.end_time or start + (usual.end - usual.start),
        runs_min=usual.runs_min if body.min_runs is None else body.min_runs,
        runs_max=usual.runs_max if body.max_runs is None else body.max_runs,
    )
    scheduling.schedule_runs(tx, id, wanted, auto_scheduled=False)


def get_scheduled_runs(tx: Transaction, body: ScheduledRunsQuery) -> list[FlowRun]:
    """Return runs of deployments that are to be started, the first due first; note that the deployments were asked for."""
    limit, now = page_limit(body.limit), clock.now_us()
    found: list[tuple[Any, ...]] = []
    for part in parts([id.bytes for id in body.deployment_ids]):
        text = (
            f"{statements.SELECT_FLOW_RUNS} WHERE r.deployment_id IN ({', '.join('?' * len(part))}) AND r.state_type = 'SCHEDULED'"
            f" AND COALESCE({field_of('r.empirical_policy', 'retry_type')}, '') <> 'in_process'"
        )
        values: list[Any] = [*part]
        if body.scheduled_before is not None:
            text += " AND r.next_scheduled_start_time <= ?"
            values.append(time_in(body.scheduled_before))
        found += tx.sql(f"{text} ORDER BY r.next_scheduled_start_time, r.id LIMIT ?", (*values, limit))
    deployment_readiness.mark_polled(tx, [id.bytes for id in body.deployment_ids])
    runs = [flow_run_out(row, now) for row in found]
    runs.sort(key=lambda run: (run.next_scheduled_start_time is not None, run.next_scheduled_start_time, run.id))
    return runs[:limit]


OPERATIONS = {
    endpoints.SCHEDULE_DEPLOYMENT: Operation(schedule_deployment, writes=True),
    endpoints.CREATE_RUN_OF_DEPLOYMENT: Operation(create_run, writes=True),
    endpoints.CREATE_RUNS_OF_DEPLOYMENT: Operation(create_runs, writes=True),
    endpoints.GET_SCHEDULED_RUNS: Operation(get_scheduled_runs, writes=True),
}
