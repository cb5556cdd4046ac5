"""`run_deployment`: a run of a deployment made from code, waited for, and tied to the run that makes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.bridge import blocking, in_blocking_run
from headrace.client.connect import current_client
from headrace.client.recording import spool
from headrace.client.websocket import api_url
from headrace.data.task_record import TaskRecord
from headrace.engine.context import current
from headrace.engine.dependencies import resolve_parameters, wait_for_upstream
from headrace.engine.pausing import wait_for_flow_run
from headrace.engine.ports import ASYNC, BLOCKING
from headrace.model import clock
from headrace.model.deployments import Deployment, DeploymentFlowRunCreate
from headrace.model.endpoints.deployments import CREATE_RUN_OF_DEPLOYMENT, FILTER_DEPLOYMENTS, READ_DEPLOYMENT, READ_DEPLOYMENT_BY_NAME
from headrace.model.errors import FlowRunWaitTimeout, ObjectAlreadyExists, ObjectNotFound, ParameterTypeError, near
from headrace.model.states import StateCreate, StateDetails, StateType

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.engine.context import FlowRunContext
    from headrace.model.flow_runs import FlowRun


async def arun_deployment(
    name: str | UUID,
    client: Client | None = None,
    parameters: dict[str, Any] | None = None,
    scheduled_time: datetime | None = None,
    flow_run_name: str | None = None,
    timeout: float | None = None,
    poll_interval: float | None = 5,
    tags: Iterable[str] | None = None,
    idempotency_key: str | None = None,
    work_queue_name: str | None = None,
    as_subflow: bool | None = True,
    job_variables: dict[str, Any] | None = None,
) -> FlowRun:
    """Make a run of a deployment, wait for its end and return it, whatever its end is.

    `name`: "flow name/deployment name", or an id. `parameters` go before those of the deployment; futures among them are waited for.
    `scheduled_time`: when it is to begin, default now. `timeout`: seconds to wait at most, after which the run is returned as it is; 0 does not wait,
    None waits for ever. `poll_interval`: seconds between two looks at most. `idempotency_key`: a second call with it returns the first run.
    Inside a flow or task the run is shown as its subflow, unless `as_subflow` is False.

    Raises `ConfigurationError` without a server, `ObjectNotFound`, `ValueError` for a negative `timeout`, and `ParameterTypeError` for
    parameters that the deployment does not take.
    """
    if timeout is not None and timeout < 0:
        raise ValueError(f"`timeout` must be positive, or 0 so as not to wait; it is {timeout}.")
    api_url("run_deployment")
    client = client or current_client()
    deployment = await _find(client, name)
    frame = current().flow if as_subflow else None
    values, inputs = await _values(parameters or {})
    record = await _tracked(frame, deployment, str(name), inputs) if frame is not None else None
    body = DeploymentFlowRunCreate(
        state=StateCreate(type=StateType.SCHEDULED, name="Scheduled", state_details=StateDetails(scheduled_time=scheduled_time or clock.now())),
        name=flow_run_name,
        parameters=values,
        tags=list(tags or ()),
        idempotency_key=idempotency_key,
        parent_task_run_id=record.id if record is not None else None,
        work_queue_name=work_queue_name,
        job_variables=job_variables,
    )
    try:
        run = await _create(client, deployment, body)
        if timeout != 0:
            try:
                run = await wait_for_flow_run(run.id, timeout=timeout, poll_interval=poll_interval, client=client)
            except FlowRunWaitTimeout:
                from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

                run = await client.call(READ_FLOW_RUN, id=run.id)
    except BaseException as error:
        if record is not None:
            record.enter("CRASHED", "Crashed", f"The run of the deployment could not be made or followed: {type(error).__name__}: {error}")
            spool().close_record(record)
        raise
    if record is not None and run.state is not None:
        record.enter(run.state.type.value, run.state.name or "", run.state.message, details={"child_flow_run_id": str(run.id)})
        spool().close_record(record)
    return run


run_deployment = blocking(arun_deployment)


async def _create(client: Client, deployment: Deployment, body: DeploymentFlowRunCreate) -> FlowRun:
    try:
        return await client.call(CREATE_RUN_OF_DEPLOYMENT, body, id=deployment.id)
    except ObjectAlreadyExists as error:  # the documented status of a run whose parameters do not fit
        raise ParameterTypeError(f"No run of deployment {deployment.name!r} was made. {error}") from error


async def _find(client: Client, name: str | UUID) -> Deployment:
    if isinstance(name, UUID):
        return await client.call(READ_DEPLOYMENT, id=name)
    try:
        return await client.call(READ_DEPLOYMENT, id=UUID(name))
    except ValueError:
        flow_name, slash, deployment_name = name.partition("/")
    if not slash:
        raise ValueError(f"Invalid deployment name {name!r}. It looks like 'flow-name/deployment-name', or is an id.")
    try:
        return await client.call(READ_DEPLOYMENT_BY_NAME, flow_name=flow_name, deployment_name=deployment_name)
    except ObjectNotFound as error:
        raise ObjectNotFound(f"There is no deployment {name!r}. {await _near(client, name)}".rstrip()) from error


async def _near(client: Client, name: str) -> str:
    from headrace.model.deployments import DeploymentQuery
    from headrace.model.endpoints.flows import FILTER_FLOWS
    from headrace.model.run_queries import FlowQuery

    flows = {flow.id: flow.name for flow in await client.call(FILTER_FLOWS, FlowQuery())}
    known = [f"{flows.get(one.flow_id, '?')}/{one.name}" for one in await client.call(FILTER_DEPLOYMENTS, DeploymentQuery())]
    return near(name, known) or (f"There are: {', '.join(sorted(known)[:10])}." if known else "There is none yet.")


async def _values(parameters: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    await wait_for_upstream(parameters, None, BLOCKING if in_blocking_run() else ASYNC, None)
    return resolve_parameters(parameters, current().flow)


async def _tracked(frame: FlowRunContext, deployment: Deployment, name: str, inputs: dict[str, list[dict[str, Any]]]) -> TaskRecord:
    """Record the task run that stands for the new run in the one that makes it."""
    task = current().task
    key = f"{name}-deployment"
    record = TaskRecord(
        flow_run_id=frame.flow_run.id,
        name=name if "/" in name else deployment.name,
        task_key=key,
        dynamic_key=str(frame.next_ordinal(key)),
        tags=current().tags,
        flow_run_run_count=frame.attempt,
    )
    record.task_inputs = dict(inputs)
    if task is not None:
        record.task_inputs["__parents__"] = [{"input_type": "task_run", "id": task.record.id_text}]
    record.enter("PENDING", "Pending")
    record.enter("RUNNING", "Running")
    spool().open(record)
    await spool().settle()  # the server is to know it before the run that refers to it
    return record
