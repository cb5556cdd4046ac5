"""Bodies of the routes that list, count, page, bulk-change and chart flows, runs and logs.

`limit` None means the server's default (and greatest) page size, the setting `server.api.default_limit`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import AliasChoices, Field

from headrace.model.base import Body, Model, Seconds
from headrace.model.flow_runs import FlowRunSort
from headrace.model.flows import FlowSort
from headrace.model.logs import LogSort
from headrace.model.run_filters import DeploymentFilter, FlowFilter, FlowRunFilter, LogFilter, TaskRunFilter
from headrace.model.states import StateCreate, StateType
from headrace.model.task_runs import TaskRunSort
from headrace.model.work_pools import WorkPoolFilter
from headrace.model.work_queues import WorkQueueFilter


class RunScope(Body):
    """Filters joined with AND: an object is wanted if it matches its own, and has related ones that match the others."""

    flows: FlowFilter | None = None
    flow_runs: FlowRunFilter | None = None
    task_runs: TaskRunFilter | None = None
    deployments: DeploymentFilter | None = None
    work_pools: WorkPoolFilter | None = None
    work_pool_queues: WorkQueueFilter | None = None


class RunSlice(RunScope):
    """A stretch of a list: `limit` objects after the first `offset`."""

    offset: int = Field(default=0, ge=0)
    limit: int | None = None


class RunPage(RunScope):
    """A page of a list of `limit` objects."""

    page: int = Field(default=1, ge=1)
    limit: int | None = None


class FlowQuery(RunSlice):
    """Which flows to list."""

    sort: FlowSort = FlowSort.NAME_ASC


class FlowPageQuery(RunPage):
    """Which page of flows to list."""

    sort: FlowSort = FlowSort.NAME_ASC


class FlowRunQuery(RunSlice):
    """Which flow runs to list."""

    sort: FlowRunSort = FlowRunSort.ID_DESC


class FlowRunPageQuery(RunPage):
    """Which page of flow runs to list."""

    sort: FlowRunSort = FlowRunSort.ID_DESC


class TaskRunQuery(RunSlice):
    """Which task runs to list."""

    sort: TaskRunSort = TaskRunSort.ID_DESC


class TaskRunPageQuery(RunPage):
    """Which page of task runs to list."""

    sort: TaskRunSort = TaskRunSort.ID_DESC


class LogQuery(Body):
    """Which log lines to list."""

    logs: LogFilter | None = None
    sort: LogSort = LogSort.TIMESTAMP_ASC
    offset: int = Field(default=0, ge=0)
    limit: int | None = None


class HistoryQuery(RunScope):
    """Runs counted by state in intervals of expected start time, between two moments."""

    work_pool_queues: WorkQueueFilter | None = Field(default=None, validation_alias=AliasChoices("work_queues", "work_pool_queues"))
    history_start: datetime
    history_end: datetime
    history_interval_seconds: Seconds


class HistoryResponseState(Model):
    """Runs of one state in one interval. Sums count seconds."""

    state_type: StateType
    state_name: str
    count_runs: int
    sum_estimated_run_time: timedelta
    sum_estimated_lateness: timedelta


class HistoryResponse(Model):
    """One interval of a history."""

    interval_start: datetime
    interval_end: datetime
    states: list[HistoryResponseState]


class FlowBulkDelete(Body):
    """Which flows to delete, at most `limit`."""

    flows: FlowFilter | None = None
    limit: int = Field(default=50, ge=1, le=50)


class FlowRunBulkDelete(Body):
    """Which flow runs to delete, at most `limit`."""

    flow_runs: FlowRunFilter | None = None
    limit: int = Field(default=50, ge=1, le=50)


class FlowRunBulkSetState(Body):
    """A state to propose for the flow runs that match, at most `limit`."""

    flow_runs: FlowRunFilter | None = None
    state: StateCreate
    force: bool = False
    limit: int = Field(default=50, ge=1, le=50)
