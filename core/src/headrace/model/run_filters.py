"""Filters over flows, runs, deployments and logs.

Fields of a filter are joined with AND, or with OR when `operator` is "or_". A filter without conditions matches everything.
`any_`: one of these; `not_any_`: none of these; `all_`: all of these among its own; `is_null_`: absent (true) or present (false);
`like_`: contains, whatever the case; `before_`/`after_`: at or before, at or after; `ge_`/`le_`: at least, at most.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from headrace.model.base import Action
from headrace.model.states import StateType


class Operator(StrEnum):
    """How the conditions of one filter are joined."""

    and_ = "and_"
    or_ = "or_"


class _Joined(Action):
    operator: Operator = Operator.and_


class _Times(Action):
    before_: datetime | None = None
    after_: datetime | None = None


class _NullableTimes(_Times):
    is_null_: bool | None = None


class _Name(Action):
    any_: list[str] | None = None
    like_: str | None = None


class _Ids(Action):
    any_: list[UUID] | None = None
    not_any_: list[UUID] | None = None


class _NullableIds(_Joined):
    any_: list[UUID] | None = None
    is_null_: bool | None = None


class FlowFilterId(_Ids):
    """By id."""


class FlowFilterDeployment(_Joined):
    """By whether the flow has a deployment."""

    is_null_: bool | None = None


class FlowFilterName(_Name):
    """By name."""


class FlowFilterTags(_Joined):
    """By tags; `is_null_` means that there are none."""

    all_: list[str] | None = None
    is_null_: bool | None = None


class FlowFilter(_Joined):
    """Which flows."""

    id: FlowFilterId | None = None
    deployment: FlowFilterDeployment | None = None
    name: FlowFilterName | None = None
    tags: FlowFilterTags | None = None


class FlowRunFilterId(_Ids):
    """By id."""


class FlowRunFilterName(_Name):
    """By name."""


class FlowRunFilterTags(_Joined):
    """By tags; `is_null_` means that there are none."""

    all_: list[str] | None = None
    any_: list[str] | None = None
    is_null_: bool | None = None


class FlowRunFilterDeploymentId(_NullableIds):
    """By deployment."""


class FlowRunFilterWorkQueueName(_Joined):
    """By the name of the work queue."""

    any_: list[str] | None = None
    is_null_: bool | None = None


class FlowRunFilterStateType(Action):
    """By type of the present state."""

    any_: list[StateType] | None = None
    not_any_: list[StateType] | None = None


class FlowRunFilterStateName(Action):
    """By name of the present state."""

    any_: list[str] | None = None
    not_any_: list[str] | None = None


class FlowRunFilterState(_Joined):
    """By the present state."""

    type: FlowRunFilterStateType | None = None
    name: FlowRunFilterStateName | None = None


class FlowRunFilterFlowVersion(Action):
    """By version of the flow."""

    any_: list[str] | None = None


class FlowRunFilterStartTime(_NullableTimes):
    """By the time the run started."""


class FlowRunFilterEndTime(_NullableTimes):
    """By the time the run ended."""


class FlowRunFilterExpectedStartTime(_Times):
    """By the time the run was expected to start."""


class FlowRunFilterNextScheduledStartTime(_Times):
    """By the time the run is scheduled for."""


class FlowRunFilterParentFlowRunId(_Joined):
    """By the flow run that called this one."""

    any_: list[UUID] | None = None


class FlowRunFilterParentTaskRunId(_NullableIds):
    """By the task run that stands for this run in its parent."""


class FlowRunFilterIdempotencyKey(Action):
    """By idempotency key."""

    any_: list[str] | None = None
    not_any_: list[str] | None = None


class FlowRunFilterCreatedBy(_Joined):
    """By what made the run."""

    id_: list[UUID] | None = None
    type_: list[str] | None = None
    is_null_: bool | None = None


class FlowRunFilter(_Joined):
    """Which flow runs."""

    id: FlowRunFilterId | None = None
    name: FlowRunFilterName | None = None
    tags: FlowRunFilterTags | None = None
    deployment_id: FlowRunFilterDeploymentId | None = None
    work_queue_name: FlowRunFilterWorkQueueName | None = None
    state: FlowRunFilterState | None = None
    flow_version: FlowRunFilterFlowVersion | None = None
    start_time: FlowRunFilterStartTime | None = None
    end_time: FlowRunFilterEndTime | None = None
    expected_start_time: FlowRunFilterExpectedStartTime | None = None
    next_scheduled_start_time: FlowRunFilterNextScheduledStartTime | None = None
    parent_flow_run_id: FlowRunFilterParentFlowRunId | None = None
    parent_task_run_id: FlowRunFilterParentTaskRunId | None = None
    idempotency_key: FlowRunFilterIdempotencyKey | None = None
    created_by: FlowRunFilterCreatedBy | None = None


class TaskRunFilterId(Action):
    """By id."""

    any_: list[UUID] | None = None


class TaskRunFilterName(_Name):
    """By name."""


class TaskRunFilterTags(_Joined):
    """By tags; `is_null_` means that there are none."""

    all_: list[str] | None = None
    is_null_: bool | None = None


class TaskRunFilterStateType(Action):
    """By type of the present state."""

    any_: list[StateType] | None = None


class TaskRunFilterStateName(Action):
    """By name of the present state."""

    any_: list[str] | None = None


class TaskRunFilterState(_Joined):
    """By the present state."""

    type: TaskRunFilterStateType | None = None
    name: TaskRunFilterStateName | None = None


class TaskRunFilterStartTime(_NullableTimes):
    """By the time the run started."""


class TaskRunFilterEndTime(_NullableTimes):
    """By the time the run ended."""


class TaskRunFilterExpectedStartTime(_Times):
    """By the time the run was expected to start."""


class TaskRunFilterSubFlowRuns(Action):
    """By whether the task run stands for a flow run."""

    exists_: bool | None = None


class TaskRunFilterFlowRunId(_Joined):
    """By flow run; runs outside a flow are left out unless `is_null_` is true."""

    any_: list[UUID] | None = None
    is_null_: bool | None = False


class TaskRunFilter(_Joined):
    """Which task runs."""

    id: TaskRunFilterId | None = None
    name: TaskRunFilterName | None = None
    tags: TaskRunFilterTags | None = None
    state: TaskRunFilterState | None = None
    start_time: TaskRunFilterStartTime | None = None
    end_time: TaskRunFilterEndTime | None = None
    expected_start_time: TaskRunFilterExpectedStartTime | None = None
    subflow_runs: TaskRunFilterSubFlowRuns | None = None
    flow_run_id: TaskRunFilterFlowRunId | None = None


class DeploymentFilterId(_Ids):
    """By id."""


class DeploymentFilterName(_Name):
    """By name."""


class DeploymentOrFlowNameFilter(Action):
    """By the deployment's or its flow's name, either of them."""

    like_: str | None = None


class DeploymentFilterPaused(Action):
    """By whether it is paused."""

    eq_: bool | None = None


class DeploymentFilterTags(_Joined):
    """By tags; `is_null_` means that there are none."""

    all_: list[str] | None = None
    any_: list[str] | None = None
    is_null_: bool | None = None


class DeploymentFilterWorkQueueName(Action):
    """By the name of the work queue."""

    any_: list[str] | None = None


class DeploymentFilterConcurrencyLimit(Action):
    """By the limit on runs under way at once; `is_null_` means that there is none."""

    ge_: int | None = None
    le_: int | None = None
    is_null_: bool | None = None


class DeploymentFilter(_Joined):
    """Which deployments."""

    id: DeploymentFilterId | None = None
    name: DeploymentFilterName | None = None
    flow_or_deployment_name: DeploymentOrFlowNameFilter | None = None
    paused: DeploymentFilterPaused | None = None
    tags: DeploymentFilterTags | None = None
    work_queue_name: DeploymentFilterWorkQueueName | None = None
    concurrency_limit: DeploymentFilterConcurrencyLimit | None = None


class LogFilterLevel(Action):
    """By level."""

    ge_: int | None = None
    le_: int | None = None


class LogFilterTimestamp(_Times):
    """By time."""


class LogFilterFlowRunId(Action):
    """By flow run."""

    any_: list[UUID] | None = None


class LogFilterTaskRunId(Action):
    """By task run."""

    any_: list[UUID] | None = None
    is_null_: bool | None = None


class LogFilterTextSearch(Action):
    """By words: a blank means OR, `-word` or `!word` excludes, `+word` requires, quotation marks keep a phrase together."""

    query: str = Field(max_length=200)


class LogFilter(_Joined):
    """Which log lines."""

    level: LogFilterLevel | None = None
    timestamp: LogFilterTimestamp | None = None
    flow_run_id: LogFilterFlowRunId | None = None
    task_run_id: LogFilterTaskRunId | None = None
    text: LogFilterTextSearch | None = None
