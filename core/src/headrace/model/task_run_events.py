"""What an event `prefect.task-run.*` tells of its run: how it stands after the state that the event is about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from headrace.model.base import Model
from headrace.model.flows import Labels
from headrace.model.states import StateDetails, StateType
from headrace.model.task_runs import TaskInput, TaskRunPolicy

EVENT_PREFIX = "prefect.task-run."
ORCHESTRATION = "prefect.orchestration"
"""The label that says who decides on states: "client" for task runs that a server only hears of."""


class ToldState(Model):
    """The state; its id is the event's."""

    type: StateType
    name: str
    message: str | None = None
    state_details: StateDetails = Field(default_factory=StateDetails)
    data: Any = None


class ToldTaskRun(Model):
    """The run without what the labels of the event say."""

    name: str
    task_key: str
    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = Field(default_factory=TaskRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: Labels | None = None
    task_inputs: dict[str, list[TaskInput]] = Field(default_factory=dict)
    run_count: int = 0
    flow_run_run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: timedelta = timedelta(0)


class TaskRunTold(Model):
    """The payload of the event."""

    validated_state: ToldState
    task_run: ToldTaskRun
