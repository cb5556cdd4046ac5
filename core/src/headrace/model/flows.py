"""Flows: what they look like and what creates or changes them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from headrace.model.base import Action, Model, Record

Labels = dict[str, bool | int | float | str]
"""Key-value pairs on a flow or run. Keys that begin with `prefect.` are the product's own."""

FlowName = Annotated[str, Field(pattern=r"^[^/%&><]+$")]
"""A flow's name: anything but `/ % & > <`, which cannot stand in an address or a display name."""


class Flow(Record):
    """A flow that is known to the store. Its name is unique."""

    name: str
    tags: list[str] = Field(default_factory=list)
    labels: Labels | None = Field(default_factory=dict)


class FlowCreate(Action):
    """A flow to register. If one of that name exists, it is answered unchanged."""

    name: FlowName
    tags: list[str] = Field(default_factory=list)
    labels: Labels | None = Field(default_factory=dict)


class FlowUpdate(Action):
    """What may change on a flow."""

    tags: list[str] = Field(default_factory=list)


class FlowSort(StrEnum):
    """The orders in which flows are listed."""

    CREATED_DESC = "CREATED_DESC"
    UPDATED_DESC = "UPDATED_DESC"
    NAME_ASC = "NAME_ASC"
    NAME_DESC = "NAME_DESC"


class FlowPaginationResponse(Model):
    """One page of flows: page `page` of `pages`, `limit` on each, `count` in all."""

    results: list[Flow]
    count: int
    limit: int
    pages: int
    page: int


class FlowBulkDeleteResponse(Model):
    """The ids of the flows that were deleted."""

    deleted: list[UUID] = Field(default_factory=list[UUID])
