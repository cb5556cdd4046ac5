"""Task runs: what they look like and what creates or changes them."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from headrace.model.base import Action, InventedName, Model, Record
from headrace.model.flows import Labels
from headrace.model.states import State, StateCreate, StateType


class TaskRunPolicy(Model):
    """How a task run is retried. `retry_delay` counts seconds: one for all retries, or a list with the last repeated."""

    max_retries: int = 0
    retry_delay_seconds: float = 0
    retries: int | None = None
    retry_delay: int | float | list[int] | list[float] | None = None
    retry_jitter_factor: float | None = None

    @model_validator(mode="after")
    def _read_older_names(self) -> TaskRunPolicy:
        if self.retries is None and self.max_retries:
            self.retries = self.max_retries
        if self.retry_delay is None and self.retry_delay_seconds:
            self.retry_delay = self.retry_delay_seconds
        return self


class TaskRunResult(Model):
    """An input that came from a task run."""

    input_type: Literal["task_run"] = "task_run"
    id: UUID


class FlowRunResult(Model):
    """An input that came from a flow run."""

    input_type: Literal["flow_run"] = "flow_run"
    id: UUID


class Parameter(Model):
    """An input that is a parameter of the flow."""

    input_type: Literal["parameter"] = "parameter"
    name: str


class Constant(Model):
    """An input that was written in the code; `type` names its type."""

    input_type: Literal["constant"] = "constant"
    type: str


TaskInput = Annotated[TaskRunResult | FlowRunResult | Parameter | Constant, Field(discriminator="input_type")]


class TaskRun(Record):
    """A run of a task, with its present state. Durations count seconds."""

    name: str = ""
    flow_run_id: UUID | None = None
    task_key: str
    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = Field(default_factory=TaskRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: Labels = Field(default_factory=dict)
    state_id: UUID | None = None
    task_inputs: dict[str, list[TaskInput]] = Field(default_factory=dict)
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    flow_run_run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: timedelta = timedelta(0)
    estimated_run_time: timedelta = timedelta(0)
    estimated_start_time_delta: timedelta = timedelta(0)
    state: State | None = None


class TaskRunCreate(Action):
    """A task run to create. One with the same flow run, task key and dynamic key is answered instead if it exists."""

    id: UUID | None = None
    state: StateCreate | None = None
    name: InventedName = Field(default_factory=str)
    flow_run_id: UUID | None = None
    task_key: str
    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = Field(default_factory=TaskRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: Labels | None = Field(default_factory=dict)
    task_inputs: dict[str, list[TaskInput]] = Field(default_factory=dict)


class TaskRunUpdate(Action):
    """What may change on a task run."""

    name: InventedName = Field(default_factory=str)


class TaskRunSort(StrEnum):
    """The orders in which task runs are listed. Runs without the time asked for come last."""

    ID_DESC = "ID_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"


class TaskRunPaginationResponse(Model):
    """One page of task runs: page `page` of `pages`, `limit` on each, `count` in all."""

    results: list[TaskRun]
    count: int
    limit: int
    pages: int
    page: int
