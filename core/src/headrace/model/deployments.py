"""Deployments: what they look like, what creates or changes them, and the bodies of their routes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from headrace.model.base import Action, Body, Model, Record
from headrace.model.concurrency import GlobalConcurrencyLimitResponse
from headrace.model.events import RelatedResource
from headrace.model.flow_runs import CreatedBy, FlowRunPolicy
from headrace.model.flows import FlowName, Labels
from headrace.model.run_filters import DeploymentFilter
from headrace.model.run_queries import RunPage, RunSlice
from headrace.model.schedules import DeploymentSchedule, DeploymentScheduleCreate, DeploymentScheduleUpdate
from headrace.model.states import StateCreate


class ConcurrencyLimitStrategy(StrEnum):
    """What becomes of a run that finds its deployment full: it waits for a slot, or is cancelled."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"


GracePeriod = Annotated[int, Field(ge=60, le=86_400)]
"""Seconds that a run's infrastructure may take to start before the run's slot is given to another."""


class ConcurrencyOptions(Model):
    """What happens when the deployment's limit is reached."""

    collision_strategy: ConcurrencyLimitStrategy
    grace_period_seconds: GracePeriod | None = None


class ConcurrencyLimitConfig(Model):
    """How many runs of a deployment may be under way at once, and what becomes of more."""

    limit: int
    collision_strategy: ConcurrencyLimitStrategy = ConcurrencyLimitStrategy.ENQUEUE
    grace_period_seconds: GracePeriod | None = None


class DeploymentStatus(StrEnum):
    """READY: somebody asked for its runs lately."""

    READY = "READY"
    NOT_READY = "NOT_READY"


class UpdatedBy(CreatedBy):
    """Who or what changed something last."""


class VersionInfo(Model):
    """Where a version comes from: a repository, a build. Its fields depend on `type`."""

    model_config = ConfigDict(extra="allow")

    type: str
    version: str


def _checked_labels(labels: Labels | None) -> Labels | None:
    for key, value in (labels or {}).items():
        if not key:
            raise ValueError(f"A label needs a name; the one with the value {value!r} has none.")
    return labels


class Deployment(Record):
    """A flow with all that is needed to run it elsewhere and later. Its name is unique for its flow.

    `concurrency_limit` is an older name of `global_concurrency_limit.limit` and always None.
    """

    name: str
    version: str | None = None
    description: str | None = None
    flow_id: UUID
    paused: bool = False
    schedules: list[DeploymentSchedule] = Field(default_factory=list[DeploymentSchedule])
    concurrency_limit: int | None = None
    global_concurrency_limit: GlobalConcurrencyLimitResponse | None = None
    concurrency_options: ConcurrencyOptions | None = None
    job_variables: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    labels: Labels = Field(default_factory=dict)
    work_queue_name: str | None = None
    work_queue_id: UUID | None = None
    last_polled: datetime | None = None
    parameter_openapi_schema: dict[str, Any] | None = Field(default_factory=dict[str, Any])
    path: str | None = None
    pull_steps: list[dict[str, Any]] | None = None
    entrypoint: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    created_by: CreatedBy | None = None
    updated_by: UpdatedBy | None = None
    work_pool_name: str | None = None
    status: DeploymentStatus | None = DeploymentStatus.NOT_READY
    enforce_parameter_schema: bool = True

    def as_related_resource(self, role: str = "deployment") -> RelatedResource:
        """Return the deployment as what an event is about too, in the role of `role`."""
        labels = {"prefect.resource.id": f"prefect.deployment.{self.id}", "prefect.resource.name": self.name, "prefect.resource.role": role}
        return RelatedResource(labels)


class DeploymentCreate(Action):
    """A deployment to be made. If its flow has one of that name, the fields that are given are written, and its schedules replaced."""

    name: FlowName
    flow_id: UUID
    paused: bool = False
    schedules: list[DeploymentScheduleCreate] = Field(default_factory=list[DeploymentScheduleCreate])
    concurrency_limit: int | None = Field(default=None, gt=0)
    concurrency_options: ConcurrencyOptions | None = None
    global_concurrency_limit_id: UUID | None = None
    enforce_parameter_schema: bool = True
    parameter_openapi_schema: dict[str, Any] | None = Field(default_factory=dict[str, Any])
    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    labels: Annotated[Labels | None, AfterValidator(_checked_labels)] = Field(default_factory=dict)
    pull_steps: list[dict[str, Any]] | None = None
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    description: str | None = None
    path: str | None = None
    version: str | None = None
    entrypoint: str | None = None
    job_variables: dict[str, Any] = Field(default_factory=dict)
    version_info: VersionInfo | None = None


class DeploymentUpdate(Action):
    """What changes in a deployment; fields that are not given stay."""

    version: str | None = None
    description: str | None = None
    paused: bool = False
    schedules: list[DeploymentScheduleUpdate] = Field(default_factory=list[DeploymentScheduleUpdate])
    concurrency_limit: int | None = Field(default=None, gt=0)
    concurrency_options: ConcurrencyOptions | None = None
    global_concurrency_limit_id: UUID | None = None
    parameters: dict[str, Any] | None = None
    parameter_openapi_schema: dict[str, Any] | None = None
    tags: list[str] = Field(default_factory=list)
    work_queue_name: str | None = None
    work_pool_name: str | None = None
    path: str | None = None
    job_variables: dict[str, Any] | None = Field(default_factory=dict[str, Any])
    pull_steps: list[dict[str, Any]] | None = None
    entrypoint: str | None = None
    storage_document_id: UUID | None = None
    infrastructure_document_id: UUID | None = None
    enforce_parameter_schema: bool | None = None
    version_info: VersionInfo | None = None


class DeploymentFlowRunCreate(Action):
    """A run of a deployment to be made. What is not given is the deployment's; without a state it is scheduled for now."""

    state: StateCreate | None = None
    name: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    enforce_parameter_schema: bool | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    infrastructure_document_id: UUID | None = None
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    idempotency_key: str | None = None
    labels: Labels | None = None
    parent_task_run_id: UUID | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None


class DeploymentSort(StrEnum):
    """The orders in which deployments are listed."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class DeploymentQuery(RunSlice):
    """Which deployments to list."""

    sort: DeploymentSort = DeploymentSort.NAME_ASC


class DeploymentPageQuery(RunPage):
    """Which page of deployments to list."""

    sort: DeploymentSort = DeploymentSort.NAME_ASC


class DeploymentBulkDelete(Body):
    """Which deployments to delete, at most `limit`."""

    deployments: DeploymentFilter | None = None
    limit: int = Field(default=50, ge=1, le=50)


class ScheduleDeployment(Body):
    """Runs to be made of a deployment's schedules, from `start_time` on.

    As few as fulfil both `min_runs` and `min_time` (seconds that they must reach beyond `start_time`), none after `end_time`, at most `max_runs`
    of each schedule.
    """

    start_time: datetime | None = None
    end_time: datetime | None = None
    min_time: float | None = Field(default=None, json_schema_extra={"format": "time-delta"})
    min_runs: int | None = None
    max_runs: int | None = None


class ScheduledRunsQuery(Body):
    """Which scheduled runs to hand out: those of `deployment_ids` that are due before `scheduled_before`."""

    deployment_ids: list[UUID]
    scheduled_before: datetime | None = None
    limit: int | None = None


class DeploymentPaginationResponse(Model):
    """One page of deployments: page `page` of `pages`, `limit` on each, `count` in all."""

    results: list[Deployment]
    count: int
    limit: int
    pages: int
    page: int


class DeploymentBulkDeleteResponse(Model):
    """The ids of the deployments that were deleted."""

    deleted: list[UUID] = Field(default_factory=list[UUID])


class FlowRunCreateResult(Model):
    """What became of one of several runs to be made."""

    flow_run_id: UUID | None = None
    status: Literal["CREATED", "FAILED"]
    error: str | None = None


class FlowRunBulkCreateResponse(Model):
    """What became of several runs to be made, in the order in which they were given."""

    results: list[FlowRunCreateResult] = Field(default_factory=list[FlowRunCreateResult])
