"""Shapes that a user interface asks for: counts and short forms of runs for charts and lists."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AliasChoices, Field

from headrace.model.base import Body, Model
from headrace.model.flow_runs import FlowRunSort
from headrace.model.run_filters import TaskRunFilter
from headrace.model.run_queries import RunScope
from headrace.model.states import StateType
from headrace.model.task_runs import TaskRun
from headrace.model.work_queues import WorkQueueFilter

IDS_MAX = 200
RUNS_MAX = 1000


class FlowIds(Body):
    """Which flows to count or look at."""

    flow_ids: list[UUID] = Field(max_length=IDS_MAX)


class FlowRunIds(Body):
    """Which flow runs to count."""

    flow_run_ids: list[UUID] = Field(max_length=IDS_MAX)


class SimpleNextFlowRun(Model):
    """The next run of a flow."""

    id: UUID
    flow_id: UUID
    name: str
    state_name: str
    state_type: StateType
    next_scheduled_start_time: datetime


class SimpleFlowRun(Model):
    """A flow run as a point of a chart. `timestamp` is when it started or should have; `duration` and `lateness` are seconds."""

    id: UUID
    state_type: StateType
    timestamp: datetime
    duration: float
    lateness: float


class FlowRunPoints(RunScope):
    """Which flow runs to chart."""

    sort: FlowRunSort = FlowRunSort.EXPECTED_START_TIME_DESC
    limit: int = Field(default=RUNS_MAX, le=RUNS_MAX, ge=0)
    offset: int = Field(default=0, ge=0)


class TaskRunCountsQuery(RunScope):
    """Which task runs to count in equal stretches of the time that `task_runs.start_time` names."""

    task_runs: TaskRunFilter  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]  # here it is needed
    work_pool_queues: WorkQueueFilter | None = Field(default=None, validation_alias=AliasChoices("work_queues", "work_pool_queues"))


class CountByState(Model):
    """How many runs are in each type of state."""

    COMPLETED: int = 0
    PENDING: int = 0
    RUNNING: int = 0
    FAILED: int = 0
    CANCELLED: int = 0
    CRASHED: int = 0
    PAUSED: int = 0
    CANCELLING: int = 0
    SCHEDULED: int = 0


class UITaskRun(TaskRun):
    """A task run with the name of its flow run."""

    flow_run_name: str | None = None


class SchemaValues(Body):
    """Values to hold against a JSON schema."""

    schema_: dict[str, Any] = Field(alias="schema")
    values: dict[str, Any]


class SchemaValuePropertyError(Model):
    """What is wrong with one property."""

    property: str
    errors: list[SchemaValueError]


class SchemaValueIndexError(Model):
    """What is wrong with one item."""

    index: int
    errors: list[SchemaValueError]


SchemaValueError = str | SchemaValuePropertyError | SchemaValueIndexError


class SchemaValuesValidationResponse(Model):
    """What is wrong with the values, property by property."""

    errors: list[SchemaValueError]
    valid: bool
