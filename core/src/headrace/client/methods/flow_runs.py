"""Documented client methods on flow runs and logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.methods.given import given, scope
from headrace.client.methods.proposals import as_proposal
from headrace.model.endpoints import flow_runs as endpoints
from headrace.model.endpoints import flows as flow_endpoints
from headrace.model.endpoints import logs as log_endpoints
from headrace.model.endpoints import states as state_endpoints
from headrace.model.flow_runs import FlowRun, FlowRunCreate, FlowRunPolicy, FlowRunUpdate
from headrace.model.flows import FlowCreate
from headrace.model.orchestration import OrchestrationResult, ResumeRun, SetState

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.flow_runs import FlowRunSort
    from headrace.model.logs import Log, LogCreate, LogSort
    from headrace.model.run_filters import DeploymentFilter, FlowFilter, FlowRunFilter, LogFilter, TaskRunFilter
    from headrace.model.states import State
    from headrace.model.work_pools import WorkPoolFilter
    from headrace.model.work_queues import WorkQueueFilter


class FlowRunMethods:
    """Flow runs and logs, for a client that has `call`."""

    async def create_flow_run(
        self: Client,
        flow: Any,
        name: str | None = None,
        parameters: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        tags: Iterable[str] | None = None,
        parent_task_run_id: UUID | None = None,
        state: State | None = None,
        work_pool_name: str | None = None,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
    ) -> FlowRun:
        """Create a run of a `Flow`, which is registered if need be. Nothing runs it yet. Its state is Pending unless one is given."""
        registered = await self.call(flow_endpoints.CREATE_FLOW, FlowCreate(name=flow.name))
        retries = getattr(flow, "retries", None) or 0
        body = FlowRunCreate(
            flow_id=registered.id,
            flow_version=getattr(flow, "version", None),
            name=name or "",
            parameters=parameters or {},
            context=context or {},
            tags=list(tags or ()),
            parent_task_run_id=parent_task_run_id,
            state=as_proposal(state) if state is not None else None,
            empirical_policy=FlowRunPolicy(retries=retries, retry_delay=int(getattr(flow, "retry_delay_seconds", None) or 0)),
            work_pool_name=work_pool_name,
            work_queue_name=work_queue_name,
            job_variables=job_variables,
        )
        return await self.call(endpoints.CREATE_FLOW_RUN, body)

    async def read_flow_run(self: Client, flow_run_id: UUID) -> FlowRun:
        """Return a flow run. Raises `ObjectNotFound`."""
        return await self.call(endpoints.READ_FLOW_RUN, id=flow_run_id)

    async def read_flow_runs(
        self: Client,
        *,
        flow_filter: FlowFilter | None = None,
        flow_run_filter: FlowRunFilter | None = None,
        task_run_filter: TaskRunFilter | None = None,
        deployment_filter: DeploymentFilter | None = None,
        work_pool_filter: WorkPoolFilter | None = None,
        work_queue_filter: WorkQueueFilter | None = None,
        sort: FlowRunSort | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[FlowRun]:
        """Return the flow runs that match every filter, newest first unless `sort` says otherwise; at most `limit` (default and greatest: 200)."""
        from headrace.model.flow_runs import FlowRunSort
        from headrace.model.run_queries import FlowRunQuery

        body = FlowRunQuery(**scope(locals()), sort=sort or FlowRunSort.ID_DESC, limit=limit, offset=offset)
        return await self.call(endpoints.FILTER_FLOW_RUNS, body)

    async def count_flow_runs(
        self: Client,
        *,
        flow_filter: FlowFilter | None = None,
        flow_run_filter: FlowRunFilter | None = None,
        task_run_filter: TaskRunFilter | None = None,
        deployment_filter: DeploymentFilter | None = None,
        work_pool_filter: WorkPoolFilter | None = None,
        work_queue_filter: WorkQueueFilter | None = None,
    ) -> int:
        """Count the flow runs that match every filter."""
        from headrace.model.run_queries import RunScope

        return await self.call(endpoints.COUNT_FLOW_RUNS, RunScope(**scope(locals())))

    async def update_flow_run(
        self: Client,
        flow_run_id: UUID,
        flow_version: str | None = None,
        parameters: dict[str, Any] | None = None,
        name: str | None = None,
        tags: Iterable[str] | None = None,
        empirical_policy: FlowRunPolicy | None = None,
        infrastructure_pid: str | None = None,
        job_variables: dict[str, Any] | None = None,
    ) -> None:
        """Change what is given of a flow run; parameters and tags replace the old ones. Raises `ObjectNotFound`."""
        changes = given(
            flow_version=flow_version,
            parameters=parameters,
            name=name,
            tags=None if tags is None else list(tags),
            empirical_policy=empirical_policy,
            infrastructure_pid=infrastructure_pid,
            job_variables=job_variables,
        )
        await self.call(endpoints.UPDATE_FLOW_RUN, FlowRunUpdate(**changes), id=flow_run_id)

    async def update_flow_run_labels(self: Client, flow_run_id: UUID, labels: dict[str, Any]) -> None:
        """Add labels to a flow run, or replace their values. Raises `ObjectNotFound`."""
        await self.call(endpoints.UPDATE_FLOW_RUN_LABELS, labels, id=flow_run_id)

    async def set_flow_run_name(self: Client, flow_run_id: UUID, name: str) -> None:
        """Rename a flow run. Raises `ObjectNotFound`."""
        await self.call(endpoints.UPDATE_FLOW_RUN, FlowRunUpdate(name=name), id=flow_run_id)

    async def delete_flow_run(self: Client, flow_run_id: UUID) -> None:
        """Delete a flow run with its states, task runs and logs. Raises `ObjectNotFound`."""
        await self.call(endpoints.DELETE_FLOW_RUN, id=flow_run_id)

    async def set_flow_run_state(self: Client, flow_run_id: UUID | str, state: State, force: bool = False) -> OrchestrationResult:
        """Propose a state for a flow run; `force` skips the rules. Raises `ObjectNotFound`."""
        body = SetState(state=as_proposal(state), force=force)
        return await self.call(endpoints.SET_FLOW_RUN_STATE, body, id=UUID(str(flow_run_id)))

    async def resume_flow_run(self: Client, flow_run_id: UUID, run_input: dict[str, Any] | None = None) -> OrchestrationResult:
        """Let a paused flow run go on, with inputs if it waits for some. Raises `ObjectNotFound`."""
        return await self.call(endpoints.RESUME_FLOW_RUN, ResumeRun(run_input=run_input), id=flow_run_id)

    async def read_flow_run_states(self: Client, flow_run_id: UUID) -> list[State]:
        """Return the states that a flow run went through, oldest first."""
        return await self.call(state_endpoints.READ_FLOW_RUN_STATES, flow_run_id=flow_run_id)

    async def create_logs(self: Client, logs: Iterable[LogCreate | dict[str, Any]]) -> None:
        """Store log lines, as objects or as plain dicts."""
        from headrace.model.logs import LogCreate

        await self.call(log_endpoints.CREATE_LOGS, [LogCreate.model_validate(line) for line in logs])

    async def read_logs(
        self: Client, log_filter: LogFilter | None = None, limit: int | None = None, offset: int | None = None, sort: LogSort | None = None
    ) -> list[Log]:
        """Return log lines, oldest first unless `sort` says otherwise; at most `limit` (default and greatest: 200)."""
        from headrace.model.logs import LogSort
        from headrace.model.run_queries import LogQuery

        body = LogQuery(logs=log_filter, limit=limit, offset=offset or 0, sort=sort or LogSort.TIMESTAMP_ASC)
        return await self.call(log_endpoints.FILTER_LOGS, body)
