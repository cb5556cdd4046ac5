"""Documented client methods on deployments, their schedules and runs of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.methods.given import given, scope
from headrace.client.methods.proposals import as_proposal
from headrace.model.errors import ObjectNotFound

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.deployments import ConcurrencyOptions, Deployment, DeploymentSort, DeploymentUpdate, VersionInfo
    from headrace.model.flow_runs import FlowRun
    from headrace.model.run_filters import DeploymentFilter, FlowFilter, FlowRunFilter, TaskRunFilter
    from headrace.model.schedules import DeploymentSchedule, DeploymentScheduleCreate
    from headrace.model.states import State
    from headrace.model.work_pools import WorkPoolFilter
    from headrace.model.work_queues import WorkQueueFilter


class DeploymentMethods:
    """Deployments, for a client that has `call`."""

    async def create_deployment(
        self: Client,
        flow_id: UUID,
        name: str,
        version: str | None = None,
        version_info: VersionInfo | None = None,
        schedules: list[DeploymentScheduleCreate] | None = None,
        concurrency_limit: int | None = None,
        concurrency_options: ConcurrencyOptions | None = None,
        parameters: dict[str, Any] | None = None,
        description: str | None = None,
        work_queue_name: str | None = None,
        work_pool_name: str | None = None,
        tags: list[str] | None = None,
        storage_document_id: UUID | None = None,
        path: str | None = None,
        entrypoint: str | None = None,
        infrastructure_document_id: UUID | None = None,
        parameter_openapi_schema: dict[str, Any] | None = None,
        paused: bool | None = None,
        pull_steps: list[dict[str, Any]] | None = None,
        enforce_parameter_schema: bool | None = None,
        job_variables: dict[str, Any] | None = None,
    ) -> UUID:
        """Create a deployment of a flow, or change the one of that name, and return its id. What is None is left as it is, or gets its default."""
        from headrace.model.deployments import DeploymentCreate
        from headrace.model.endpoints.deployments import CREATE_DEPLOYMENT

        body = DeploymentCreate(
            **given(
                flow_id=flow_id,
                name=name,
                version=version,
                version_info=version_info,
                schedules=schedules,
                concurrency_limit=concurrency_limit,
                concurrency_options=concurrency_options,
                parameters=parameters,
                description=description,
                work_queue_name=work_queue_name,
                work_pool_name=work_pool_name,
                tags=tags,
                storage_document_id=storage_document_id,
                path=path,
                entrypoint=entrypoint,
                infrastructure_document_id=infrastructure_document_id,
                parameter_openapi_schema=parameter_openapi_schema,
                paused=paused,
                pull_steps=pull_steps,
                enforce_parameter_schema=enforce_parameter_schema,
                job_variables=job_variables,
            )
        )
        return (await self.call(CREATE_DEPLOYMENT, body)).id

    async def read_deployment(self: Client, deployment_id: UUID | str) -> Deployment:
        """Return a deployment. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import READ_DEPLOYMENT

        return await self.call(READ_DEPLOYMENT, id=_id(deployment_id))

    async def read_deployment_by_name(self: Client, name: str) -> Deployment:
        """Return the deployment "flow-name/deployment-name". Raises `ValueError` for a name without the slash, `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import READ_DEPLOYMENT_BY_NAME

        flow_name, slash, deployment_name = name.partition("/")
        if not slash:
            raise ValueError(f"Invalid deployment name: {name!r}. It looks like 'flow-name/deployment-name'.")
        return await self.call(READ_DEPLOYMENT_BY_NAME, flow_name=flow_name, deployment_name=deployment_name)

    async def read_deployments(
        self: Client,
        *,
        flow_filter: FlowFilter | None = None,
        flow_run_filter: FlowRunFilter | None = None,
        task_run_filter: TaskRunFilter | None = None,
        deployment_filter: DeploymentFilter | None = None,
        work_pool_filter: WorkPoolFilter | None = None,
        work_queue_filter: WorkQueueFilter | None = None,
        limit: int | None = None,
        sort: DeploymentSort | None = None,
        offset: int = 0,
    ) -> list[Deployment]:
        """Return the deployments that match every filter, by name unless `sort` says otherwise; at most `limit` (default and greatest: 200)."""
        from headrace.model.deployments import DeploymentQuery, DeploymentSort
        from headrace.model.endpoints.deployments import FILTER_DEPLOYMENTS

        body = DeploymentQuery(**scope(locals()), sort=sort or DeploymentSort.NAME_ASC, limit=limit, offset=offset)
        return await self.call(FILTER_DEPLOYMENTS, body)

    async def update_deployment(self: Client, deployment_id: UUID, deployment: DeploymentUpdate) -> None:
        """Change what is set in `deployment`. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import UPDATE_DEPLOYMENT

        await self.call(UPDATE_DEPLOYMENT, deployment, id=deployment_id)

    async def delete_deployment(self: Client, deployment_id: UUID) -> None:
        """Delete a deployment. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import DELETE_DEPLOYMENT

        await self.call(DELETE_DEPLOYMENT, id=deployment_id)

    async def set_deployment_paused_state(self: Client, deployment_id: UUID, paused: bool) -> None:
        """Pause a deployment, so that its schedules make no runs, or let it go on. Raises `ObjectNotFound`."""
        from headrace.model.deployments import DeploymentUpdate
        from headrace.model.endpoints.deployments import UPDATE_DEPLOYMENT

        await self.call(UPDATE_DEPLOYMENT, DeploymentUpdate(paused=paused), id=deployment_id)

    async def pause_deployment(self: Client, deployment_id: UUID | str) -> None:
        """Pause a deployment and remove its scheduled runs. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import PAUSE_DEPLOYMENT

        await self.call(PAUSE_DEPLOYMENT, id=_id(deployment_id))

    async def resume_deployment(self: Client, deployment_id: UUID | str) -> None:
        """Let a paused deployment go on. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import RESUME_DEPLOYMENT

        await self.call(RESUME_DEPLOYMENT, id=_id(deployment_id))

    # --- schedules

    async def read_deployment_schedules(self: Client, deployment_id: UUID) -> list[DeploymentSchedule]:
        """Return the schedules of a deployment. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import READ_SCHEDULES

        return await self.call(READ_SCHEDULES, id=deployment_id)

    async def create_deployment_schedules(
        self: Client,
        deployment_id: UUID,
        schedules: Sequence[tuple[Any, bool]] | Sequence[DeploymentScheduleCreate],
        max_scheduled_runs: int | None = None,
        parameters: dict[str, Any] | None = None,
        slug: str | None = None,
    ) -> list[DeploymentSchedule]:
        """Add schedules, given as objects or as pairs (schedule, active); the other values are those of schedules given as pairs."""
        from headrace.model.endpoints.deployments import CREATE_SCHEDULES
        from headrace.model.schedules import DeploymentScheduleCreate

        shared = given(max_scheduled_runs=max_scheduled_runs, parameters=parameters, slug=slug)
        body = [
            one if isinstance(one, DeploymentScheduleCreate) else DeploymentScheduleCreate(schedule=one[0], active=one[1], **shared)
            for one in schedules
        ]
        return await self.call(CREATE_SCHEDULES, body, id=deployment_id)

    async def update_deployment_schedule(
        self: Client,
        deployment_id: UUID,
        schedule_id: UUID,
        active: bool | None = None,
        schedule: Any = None,
        max_scheduled_runs: int | None = None,
        parameters: dict[str, Any] | None = None,
        slug: str | None = None,
    ) -> None:
        """Change what is given of a schedule. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import UPDATE_SCHEDULE
        from headrace.model.schedules import DeploymentScheduleUpdate

        changes = given(active=active, schedule=schedule, max_scheduled_runs=max_scheduled_runs, parameters=parameters, slug=slug)
        await self.call(UPDATE_SCHEDULE, DeploymentScheduleUpdate(**changes), id=deployment_id, schedule_id=schedule_id)

    async def delete_deployment_schedule(self: Client, deployment_id: UUID, schedule_id: UUID) -> None:
        """Delete a schedule. Raises `ObjectNotFound`."""
        from headrace.model.endpoints.deployments import DELETE_SCHEDULE

        await self.call(DELETE_SCHEDULE, id=deployment_id, schedule_id=schedule_id)

    # --- runs

    async def create_flow_run_from_deployment(
        self: Client,
        deployment_id: UUID,
        *,
        parameters: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        state: State | None = None,
        name: str | None = None,
        tags: Iterable[str] | None = None,
        idempotency_key: str | None = None,
        parent_task_run_id: UUID | None = None,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
        labels: dict[str, Any] | None = None,
    ) -> FlowRun:
        """Create a run of a deployment, scheduled for now unless `state` says otherwise. A repeated `idempotency_key` answers the first run.

        Raises `ObjectNotFound`, and `InvalidRequest` for parameters that do not fit.
        """
        from headrace.model.deployments import DeploymentFlowRunCreate
        from headrace.model.endpoints.deployments import CREATE_RUN_OF_DEPLOYMENT

        body = DeploymentFlowRunCreate(
            **given(
                parameters=parameters,
                context=context,
                state=as_proposal(state) if state is not None else None,
                name=name,
                tags=list(tags) if tags is not None else None,
                idempotency_key=idempotency_key,
                parent_task_run_id=parent_task_run_id,
                work_queue_name=work_queue_name,
                job_variables=job_variables,
                labels=labels,
            )
        )
        return await self.call(CREATE_RUN_OF_DEPLOYMENT, body, id=_id(deployment_id))

    async def get_scheduled_flow_runs_for_deployments(
        self: Client, deployment_ids: list[UUID], scheduled_before: datetime | None = None, limit: int | None = None
    ) -> list[FlowRun]:
        """Return scheduled runs of these deployments, the earliest first."""
        from headrace.model.deployments import ScheduledRunsQuery
        from headrace.model.endpoints.deployments import GET_SCHEDULED_RUNS

        body = ScheduledRunsQuery(deployment_ids=deployment_ids, scheduled_before=scheduled_before, limit=limit)
        return await self.call(GET_SCHEDULED_RUNS, body)


def _id(given_id: UUID | str) -> UUID:
    if isinstance(given_id, UUID):
        return given_id
    try:
        return UUID(given_id)
    except ValueError:
        raise ObjectNotFound(f"{given_id!r} is no id of a deployment. For a name use read_deployment_by_name.") from None
