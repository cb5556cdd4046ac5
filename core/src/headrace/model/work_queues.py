"""Work queues: the order and the room in which a work pool's runs are handed to workers."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from headrace.model import clock
from headrace.model.base import Action, Body, Model, Record
from headrace.model.filters import Operator
from headrace.model.states import StateType

ObjectName = Annotated[str, Field(pattern=r"^[^/%&><]+$")]
"""The name of a pool or a queue: it becomes part of an address."""
SlotLimit = Annotated[int, Field(ge=0)]
"""How many runs may be pending or running at once; 0 lets none through."""
Priority = Annotated[int, Field(gt=0)]
"""1 comes first. No two queues of a pool have the same."""


class WorkQueueStatus(StrEnum):
    """READY: a worker polled lately."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"

    @property
    def display_name(self) -> str:
        """Return the status as people read it."""
        return self.value.replace("_", " ").capitalize()


class QueueFilter(Model):
    """Which runs are the queue's own: those with all of `tags` and of one of the deployments. Only queues of the oldest kind have one."""

    tags: list[str] | None = None
    deployment_ids: list[UUID] | None = None


class WorkQueue(Record):
    """A queue. `active_slots` counts its pending and running runs, and is told only when there is a limit."""

    name: ObjectName
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: SlotLimit | None = None
    priority: Priority = 1
    work_pool_id: UUID | None = None
    filter: QueueFilter | None = None
    last_polled: datetime | None = None
    work_pool_name: str | None = None
    status: WorkQueueStatus | None = None
    active_slots: int | None = None


class WorkQueueCreate(Action):
    """A queue to be made. Without a priority it gets the first that is free."""

    name: ObjectName
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: SlotLimit | None = None
    priority: Priority | None = None
    filter: QueueFilter | None = None


class WorkQueueUpdate(Action):
    """What changes in a queue; fields that are not given stay."""

    name: ObjectName | None = None
    description: str | None = None
    is_paused: bool = False
    concurrency_limit: SlotLimit | None = None
    priority: Priority | None = None
    last_polled: datetime | None = None
    filter: QueueFilter | None = None


class WorkQueueFilterId(Action):
    """By id."""

    any_: list[UUID] | None = None


class WorkQueueFilterName(Action):
    """By name: one of several, or beginning with one of several. Upper and lower case differ."""

    any_: list[str] | None = None
    startswith_: list[str] | None = None


class WorkQueueFilter(Action):
    """Which queues."""

    operator: Operator = Operator.and_
    id: WorkQueueFilterId | None = None
    name: WorkQueueFilterName | None = None


class FilterWorkQueues(Body):
    """Body of a list of queues."""

    work_queues: WorkQueueFilter | None = None
    offset: int = Field(default=0, ge=0)
    limit: int | None = None


class QueueRunsQuery(Body):
    """Body of what an agent asks for: runs due before `scheduled_before`."""

    scheduled_before: datetime | None = None
    limit: int | None = None


class WorkQueueHealthPolicy(Model):
    """When a queue is healthy. None of a condition leaves it out."""

    maximum_late_runs: int | None = 0
    maximum_seconds_since_last_polled: int | None = 60

    def evaluate_health_status(self, late_runs_count: int, last_polled: datetime | None = None) -> bool:
        """Say whether a queue with that many late runs, polled at that time, is healthy. A queue that was never polled is not."""
        if self.maximum_late_runs is not None and late_runs_count > self.maximum_late_runs:
            return False
        if self.maximum_seconds_since_last_polled is None:
            return True
        return last_polled is not None and clock.now() - last_polled <= timedelta(seconds=self.maximum_seconds_since_last_polled)


class WorkQueueStatusDetail(Model):
    """How a queue is doing."""

    healthy: bool
    late_runs_count: int = 0
    last_polled: datetime | None = None
    health_check_policy: WorkQueueHealthPolicy


class ConcurrencyStatusQuery(Body):
    """Body of a page of what takes slots."""

    page: int = Field(default=1, ge=1)
    limit: int | None = None


class FlowRunSlotSummary(Model):
    """A run that takes a slot. `time_in_current_state` counts seconds."""

    id: UUID
    name: str
    state_type: StateType | None = None
    state_name: str | None = None
    start_time: datetime | None = None
    state_timestamp: datetime | None = None
    time_in_current_state: float | None = None


class WorkQueueConcurrencyStatus(Model):
    """What takes the slots of a queue: a page of `limit` runs of `count`, `active_slots` in all."""

    active_slots: int
    concurrency_limit: int | None = None
    flow_runs: list[FlowRunSlotSummary] = Field(default_factory=list[FlowRunSlotSummary])
    count: int
    limit: int
    pages: int
    page: int
