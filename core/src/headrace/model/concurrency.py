"""Concurrency limits: how many slots may be held at once, and who holds them.

A limit's occupancy is what its live leases hold; nothing counts up and down. A limit whose slots decay (a rate limit) drains like
a bucket instead. Limits of tasks by tag are limits named `tag:<tag>`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from headrace.model.base import Action, Body, Model, Record

TAG_PREFIX = "tag:"
LEASE_SECONDS_MIN = 60.0
LEASE_SECONDS_MAX = 86_400.0
LEASE_SECONDS_DEFAULT = 300.0

SlotMode = Literal["concurrency", "rate_limit"]

_NAME = re.compile(r"[^/%&><]+")


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"A limit's name must not be empty nor contain any of / % & > <; {name!r} does.")
    return name


def _checked_new_name(name: str | None) -> str | None:
    return name if name is None else _checked_name(name)


LimitName = Annotated[str, AfterValidator(_checked_name)]
LeaseSeconds = Annotated[float, Field(ge=LEASE_SECONDS_MIN, le=LEASE_SECONDS_MAX)]


class ConcurrencyLimitV2(Record):
    """A limit. `active_slots` is computed when it is read; `denied_slots` is kept for clients that set it and decides nothing."""

    active: bool = True
    name: str
    limit: int
    active_slots: int = 0
    denied_slots: int = 0
    slot_decay_per_second: float = 0.0
    avg_slot_occupancy_seconds: float = 2.0


class GlobalConcurrencyLimitResponse(Record):
    """A limit as it is listed."""

    active: bool = True
    name: str
    limit: int
    active_slots: int
    slot_decay_per_second: float = 2.0


class MinimalConcurrencyLimitResponse(Model):
    """A limit of which slots were taken or given back."""

    id: UUID
    name: str
    limit: int


class ConcurrencyLimitWithLeaseResponse(Model):
    """The lease that holds the slots, and the limits they belong to."""

    lease_id: UUID
    limits: list[MinimalConcurrencyLimitResponse]


class ConcurrencyLimit(Record):
    """The limit of a tag; `active_slots` are the ids of the task runs that hold slots."""

    tag: str
    concurrency_limit: int
    active_slots: list[UUID] = Field(default_factory=list[UUID])


class ConcurrencyLimitCreate(Action):
    """The limit of a tag, to be made or changed."""

    tag: str
    concurrency_limit: int


class ConcurrencyLimitV2Create(Action):
    """A limit to be made."""

    active: bool = True
    name: LimitName
    limit: int = Field(ge=0)
    active_slots: int = Field(default=0, ge=0)
    denied_slots: int = Field(default=0, ge=0)
    slot_decay_per_second: float = Field(default=0.0, ge=0)


class ConcurrencyLimitV2Update(Action):
    """What changes in a limit; fields that are not given stay."""

    active: bool | None = None
    name: Annotated[str | None, AfterValidator(_checked_new_name)] = None
    limit: int | None = Field(default=None, ge=0)
    active_slots: int | None = Field(default=None, ge=0)
    denied_slots: int | None = Field(default=None, ge=0)
    slot_decay_per_second: float | None = Field(default=None, ge=0)


class GlobalConcurrencyLimitCreate(ConcurrencyLimitV2Create):
    """A limit to be made, under the name that the client's methods use."""


class GlobalConcurrencyLimitUpdate(ConcurrencyLimitV2Update):
    """What changes in a limit, under the name that the client's methods use."""


class GlobalConcurrencyLimit(ConcurrencyLimitV2):
    """A limit, under the name that the client's methods use."""


class ConcurrencyLeaseHolder(Action):
    """Who holds the slots of a lease."""

    type: Literal["flow_run", "task_run", "deployment"]
    id: UUID


class FilterConcurrencyLimits(Body):
    """Body of a list of limits."""

    offset: int = Field(default=0, ge=0)
    limit: int | None = None


class IncrementSlots(Body):
    """Take `slots` of each of `names`, all or none, without a lease."""

    slots: int = Field(gt=0)
    names: list[str] = Field(min_length=1)
    mode: SlotMode = "concurrency"
    create_if_missing: bool | None = None


class IncrementSlotsWithLease(Body):
    """Take `slots` of each of `names`, all or none, for `lease_duration` seconds."""

    slots: int = Field(gt=0)
    names: list[str] = Field(min_length=1)
    mode: SlotMode = "concurrency"
    lease_duration: LeaseSeconds = LEASE_SECONDS_DEFAULT
    holder: ConcurrencyLeaseHolder | None = None


class DecrementSlots(Body):
    """Give back `slots` of each of `names` that were taken without a lease."""

    slots: int = Field(gt=0)
    names: list[str] = Field(min_length=1)
    occupancy_seconds: float | None = Field(default=None, gt=0)
    create_if_missing: bool | None = None


class ReleaseLease(Model):
    """Give back all that a lease holds."""

    lease_id: UUID


class RenewLease(Body):
    """Hold on to a lease for `lease_duration` seconds from now."""

    lease_duration: LeaseSeconds = LEASE_SECONDS_DEFAULT


class TagSlots(Model):
    """Slots of the limits of the tags `names` for one task run."""

    names: list[str]
    task_run_id: UUID


class ResetTagLimit(Body):
    """The task runs that hold slots from now on; none when it is not given."""

    slot_override: list[UUID] | None = None
