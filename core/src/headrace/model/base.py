"""Base classes of the shapes that cross a boundary. Schemas are built at first use, not at import."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from headrace.model import ids


class Model(BaseModel):
    """A shape that is read: unknown fields are ignored."""

    model_config = ConfigDict(defer_build=True, extra="ignore", ser_json_timedelta="float")


class Action(BaseModel):
    """A shape that is sent: unknown fields are refused."""

    model_config = ConfigDict(defer_build=True, extra="forbid", ser_json_timedelta="float")


class Record(Model):
    """A stored object."""

    id: UUID = Field(default_factory=ids.new)
    created: datetime | None = None
    updated: datetime | None = None
