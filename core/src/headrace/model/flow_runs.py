"""Flow runs: what they look like and what creates or changes them."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from headrace.model.base import Action, InventedName, Model, Record
from headrace.model.flows import Labels
from headrace.model.states import State, StateCreate, StateType


class FlowRunPolicy(Model):
    """How a flow run is retried and what is remembered of its pauses. `retry_delay` counts seconds."""

    max_retries: int = 0
    retry_delay_seconds: float = 0
    retries: int | None = None
    retry_delay: int | None = None
    pause_keys: set[str] | None = Field(default_factory=set)
    resuming: bool | None = False
    retry_type: Literal["in_process", "reschedule"] | None = None

    @model_validator(mode="after")
    def _read_older_names(self) -> FlowRunPolicy:
        if self.retries is None and self.max_retries:
            self.retries = self.max_retries
        if self.retry_delay is None and self.retry_delay_seconds:
            self.retry_delay = int(self.retry_delay_seconds)
        return self


class CreatedBy(Model):
    """Who or what made a run: a schedule, a deployment, an automation."""

    id: UUID | None = None
    type: str | None = None
    display_value: str | None = None


class FlowRun(Record):
    """A run of a flow, with its present state. Durations count seconds."""

    name: str = ""
    flow_id: UUID
    state_id: UUID | None = None
    deployment_id: UUID | None = None
    deployment_version: str | None = None
    work_queue_id: UUID | None = None
    work_queue_name: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    idempotency_key: str | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: Labels = Field(default_factory=dict)
    parent_task_run_id: UUID | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    expected_start_time: datetime | None = None
    next_scheduled_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_run_time: timedelta = timedelta(0)
    estimated_run_time: timedelta = timedelta(0)
    estimated_start_time_delta: timedelta = timedelta(0)
    auto_scheduled: bool = False
    infrastructure_document_id: UUID | None = None
    infrastructure_pid: str | None = None
    created_by: CreatedBy | None = None
    work_pool_id: UUID | None = None
    work_pool_name: str | None = None
    state: State | None = None
    job_variables: dict[str, Any] | None = None

    def __eq__(self, other: object) -> bool:
        """Compare without the estimates, which grow while the run lasts."""
        if not isinstance(other, FlowRun):
            return False
        moving = {"estimated_run_time", "estimated_start_time_delta"}
        return self.model_dump(exclude=moving) == other.model_dump(exclude=moving)

    __hash__ = None  # type: ignore[assignment]  # mutable, compared by value


class FlowRunCreate(Action):
    """A flow run to create. Without a state it begins as Pending; without a name it gets an invented one.

    `idempotency_key` is unique for each flow: a second create with it answers the first run.
    """

    flow_id: UUID
    state: StateCreate | None = None
    name: InventedName = Field(default_factory=str)
    flow_version: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] = Field(default_factory=dict)
    parent_task_run_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: Labels | None = Field(default_factory=dict)
    idempotency_key: str | None = None
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None
    deployment_id: UUID | None = None


class FlowRunUpdate(Action):
    """What may change on a flow run; only the fields that are set are written."""

    name: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    infrastructure_pid: str | None = None
    job_variables: dict[str, Any] | None = None


class FlowRunSort(StrEnum):
    """The orders in which flow runs are listed. Runs without the time asked for come last."""

    ID_DESC = "ID_DESC"
    START_TIME_ASC = "START_TIME_ASC"
    START_TIME_DESC = "START_TIME_DESC"
    EXPECTED_START_TIME_ASC = "EXPECTED_START_TIME_ASC"
    EXPECTED_START_TIME_DESC = "EXPECTED_START_TIME_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"
    NEXT_SCHEDULED_START_TIME_ASC = "NEXT_SCHEDULED_START_TIME_ASC"
    END_TIME_DESC = "END_TIME_DESC"


class FlowRunPaginationResponse(Model):
    """One page of flow runs: page `page` of `pages`, `limit` on each, `count` in all."""

    results: list[FlowRun]
    count: int
    limit: int
    pages: int
    page: int


class FlowRunBulkDeleteResponse(Model):
    """The ids of the flow runs that were deleted."""

    deleted: list[UUID] = Field(default_factory=list[UUID])
