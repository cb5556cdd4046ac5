"""Workers: processes that start the runs of a work pool and tell by heartbeats that they live."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from headrace.model.base import Action, Body, Model, Record
from headrace.model.filters import Operator


class WorkerStatus(StrEnum):
    """ONLINE: heartbeats come in time."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class Worker(Record):
    """A worker of a pool; its name is its own within the pool."""

    name: str
    work_pool_id: UUID
    last_heartbeat_time: datetime | None = None
    heartbeat_interval_seconds: int | None = None
    status: WorkerStatus = WorkerStatus.OFFLINE


class Integration(Model):
    """A plugin that a worker has installed."""

    name: str
    version: str


class WorkerMetadata(Model):
    """What a worker tells of its environment; it may tell more than the plugins."""

    model_config = ConfigDict(extra="allow")

    integrations: list[Integration] = Field(default_factory=list[Integration])


class WorkerHeartbeat(Body):
    """A sign of life. The interval says when the next is to be expected."""

    name: str
    heartbeat_interval_seconds: int | None = None


class WorkerFilterLastHeartbeatTime(Action):
    """By the time of the last heartbeat: at or before, at or after."""

    before_: datetime | None = None
    after_: datetime | None = None


class WorkerFilterStatus(Action):
    """By status."""

    any_: list[WorkerStatus] | None = None
    not_any_: list[WorkerStatus] | None = None


class WorkerFilter(Action):
    """Which workers."""

    operator: Operator = Operator.and_
    last_heartbeat_time: WorkerFilterLastHeartbeatTime | None = None
    status: WorkerFilterStatus | None = None


class FilterWorkers(Body):
    """Body of a list of workers."""

    workers: WorkerFilter | None = None
    offset: int = Field(default=0, ge=0)
    limit: int | None = None


WorkerCatalogue = dict[str, Any]
"""Worker types by the package that brings them, each with its default base job template."""
