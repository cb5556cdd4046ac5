"""Documented client methods on task runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.methods.given import scope
from headrace.client.methods.proposals import as_proposal
from headrace.model.endpoints import states as state_endpoints
from headrace.model.endpoints import task_runs as endpoints
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.task_runs import TaskRun, TaskRunCreate, TaskRunPolicy, TaskRunUpdate

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.run_filters import DeploymentFilter, FlowFilter, FlowRunFilter, TaskRunFilter
    from headrace.model.states import State
    from headrace.model.task_runs import TaskInput, TaskRunSort
    from headrace.model.work_pools import WorkPoolFilter
    from headrace.model.work_queues import WorkQueueFilter


class TaskRunMethods:
    """Task runs, for a client that has `call`."""

    async def create_task_run(
        self: Client,
        task: Any,
        flow_run_id: UUID | None,
        dynamic_key: str,
        id: UUID | None = None,
        name: str | None = None,
        extra_tags: Iterable[str] | None = None,
        state: State | None = None,
        task_inputs: dict[str, list[TaskInput]] | None = None,
    ) -> TaskRun:
        """Create a run of a `Task`, Pending unless a state is given; one with the same flow run, task and dynamic key is answered instead."""
        retry_delay: Any = getattr(task, "retry_delay_seconds", None)
        body = TaskRunCreate(
            id=id,
            name=name or "",
            flow_run_id=flow_run_id,
            task_key=task.task_key,
            dynamic_key=str(dynamic_key),
            task_version=getattr(task, "version", None),
            tags=sorted({*(getattr(task, "tags", None) or ()), *(extra_tags or ())}),
            empirical_policy=TaskRunPolicy(
                retries=getattr(task, "retries", None) or 0,
                retry_delay=0 if retry_delay is None or callable(retry_delay) else retry_delay,
                retry_jitter_factor=getattr(task, "retry_jitter_factor", None),
            ),
            state=as_proposal(state) if state is not None else None,
            task_inputs=task_inputs or {},
        )
        return await self.call(endpoints.CREATE_TASK_RUN, body)

    async def read_task_run(self: Client, task_run_id: UUID) -> TaskRun:
        """Return a task run. Raises `ObjectNotFound`."""
        return await self.call(endpoints.READ_TASK_RUN, id=task_run_id)

    async def read_task_runs(
        self: Client,
        *,
        flow_filter: FlowFilter | None = None,
        flow_run_filter: FlowRunFilter | None = None,
        task_run_filter: TaskRunFilter | None = None,
        deployment_filter: DeploymentFilter | None = None,
        work_pool_filter: WorkPoolFilter | None = None,
        work_queue_filter: WorkQueueFilter | None = None,
        sort: TaskRunSort | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[TaskRun]:
        """Return the task runs that match every filter, newest first unless `sort` says otherwise; at most `limit` (default and greatest: 200)."""
        from headrace.model.run_queries import TaskRunQuery
        from headrace.model.task_runs import TaskRunSort

        body = TaskRunQuery(**scope(locals()), sort=sort or TaskRunSort.ID_DESC, limit=limit, offset=offset)
        return await self.call(endpoints.FILTER_TASK_RUNS, body)

    async def set_task_run_name(self: Client, task_run_id: UUID, name: str) -> None:
        """Rename a task run. Raises `ObjectNotFound`."""
        await self.call(endpoints.UPDATE_TASK_RUN, TaskRunUpdate(name=name), id=task_run_id)

    async def delete_task_run(self: Client, task_run_id: UUID) -> None:
        """Delete a task run with its states and logs. Raises `ObjectNotFound`."""
        await self.call(endpoints.DELETE_TASK_RUN, id=task_run_id)

    async def set_task_run_state(self: Client, task_run_id: UUID, state: State, force: bool = False) -> OrchestrationResult:
        """Propose a state for a task run; `force` skips the rules. Raises `ObjectNotFound`."""
        return await self.call(endpoints.SET_TASK_RUN_STATE, SetState(state=as_proposal(state), force=force), id=task_run_id)

    async def read_task_run_states(self: Client, task_run_id: UUID) -> list[State]:
        """Return the states that a task run went through, oldest first."""
        return await self.call(state_endpoints.READ_TASK_RUN_STATES, task_run_id=task_run_id)
