"""Work pools: where runs of deployments wait for workers, and what infrastructure their jobs are made of."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from headrace.model.base import Action, Body, Model, Record
from headrace.model.filters import Operator
from headrace.model.flow_runs import FlowRun
from headrace.model.job_templates import checked_template
from headrace.model.work_queues import FlowRunSlotSummary, ObjectName, SlotLimit

DEFAULT_QUEUE = "default"
AGENT_POOL = "default-agent-pool"
"""The pool of queues that were made without one."""
AGENT_POOL_TYPE = "prefect-agent"


def _checked_new_template(template: dict[str, Any] | None) -> dict[str, Any] | None:
    return template if template is None else checked_template(template)


class WorkPoolStatus(StrEnum):
    """READY: a worker is online."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"

    @property
    def display_name(self) -> str:
        """Return the status as people read it."""
        return self.value.replace("_", " ").capitalize()


class WorkPoolStorageConfiguration(Action):
    """Where results and bundles of the pool's runs are kept. A step is `{"function": inputs}`."""

    bundle_upload_step: dict[str, Any] | None = None
    bundle_execution_step: dict[str, Any] | None = None
    default_result_storage_block_id: UUID | None = None


class WorkPool(Record):
    """A pool. `active_slots` counts its pending and running runs, and is told only when there is a limit."""

    name: ObjectName
    description: str | None = None
    type: str
    base_job_template: dict[str, Any] = Field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: SlotLimit | None = None
    status: WorkPoolStatus | None = None
    default_queue_id: UUID | None = None
    storage_configuration: WorkPoolStorageConfiguration = Field(default_factory=WorkPoolStorageConfiguration)
    active_slots: int | None = None

    @property
    def is_push_pool(self) -> bool:
        """Whether the hosted service starts the pool's runs: its type ends in `:push`."""
        return self.type.endswith(":push")

    @property
    def is_managed_pool(self) -> bool:
        """Whether the hosted service runs the pool's runs: its type ends in `:managed`."""
        return self.type.endswith(":managed")


class WorkPoolCreate(Action):
    """A pool to be made."""

    name: ObjectName
    description: str | None = None
    type: str = AGENT_POOL_TYPE
    base_job_template: Annotated[dict[str, Any], AfterValidator(checked_template)] = Field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: SlotLimit | None = None
    storage_configuration: WorkPoolStorageConfiguration = Field(default_factory=WorkPoolStorageConfiguration)


class WorkPoolUpdate(Action):
    """What changes in a pool; fields that are not given stay."""

    description: str | None = None
    is_paused: bool | None = None
    base_job_template: Annotated[dict[str, Any] | None, AfterValidator(_checked_new_template)] = None
    concurrency_limit: SlotLimit | None = None
    storage_configuration: WorkPoolStorageConfiguration | None = None


class WorkPoolFilterId(Action):
    """By id."""

    any_: list[UUID] | None = None


class WorkPoolFilterName(Action):
    """By name."""

    any_: list[str] | None = None


class WorkPoolFilterType(Action):
    """By type."""

    any_: list[str] | None = None


class WorkPoolFilter(Action):
    """Which pools."""

    operator: Operator = Operator.and_
    id: WorkPoolFilterId | None = None
    name: WorkPoolFilterName | None = None
    type: WorkPoolFilterType | None = None


class CountWorkPools(Body):
    """Body of a count of pools."""

    work_pools: WorkPoolFilter | None = None


class FilterWorkPools(CountWorkPools):
    """Body of a list of pools."""

    offset: int = Field(default=0, ge=0)
    limit: int | None = None


class GetScheduledFlowRuns(Body):
    """Body of what a worker asks for: runs due in a span of time, of these queues, or of all when none is named."""

    work_queue_names: list[str] | None = None
    scheduled_before: datetime | None = None
    scheduled_after: datetime | None = None
    limit: int | None = None


class WorkerFlowRunResponse(Model):
    """A run that a worker may start, and the pool and queue it waits in."""

    work_pool_id: UUID
    work_queue_id: UUID
    flow_run: FlowRun


class PoolConcurrencyStatusQuery(Body):
    """Body of a page of a pool's queues; `flow_run_limit` is how many runs are told of each."""

    page: int = Field(default=1, ge=1)
    limit: int | None = None
    flow_run_limit: int = Field(default=10, ge=0, le=200)


class WorkQueueConcurrencyStatusDetail(Model):
    """What takes the slots of one queue: some of the runs, `flow_run_count` in all."""

    queue_id: UUID
    queue_name: str
    active_slots: int
    concurrency_limit: int | None = None
    flow_runs: list[FlowRunSlotSummary] = Field(default_factory=list[FlowRunSlotSummary])
    flow_run_count: int | None = None


class WorkPoolConcurrencyStatus(Model):
    """What takes the slots of a pool: a page of `limit` queues of `count`."""

    active_slots: int
    concurrency_limit: int | None = None
    queues: list[WorkQueueConcurrencyStatusDetail] = Field(default_factory=list[WorkQueueConcurrencyStatusDetail])
    count: int
    limit: int
    pages: int
    page: int
