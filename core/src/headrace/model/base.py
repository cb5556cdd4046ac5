"""Base classes of the shapes that cross a boundary. Schemas are built at first use, not at import."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from headrace.model import ids

Seconds = Annotated[timedelta, WithJsonSchema({"type": "number", "format": "time-delta"}, mode="validation")]
"""A duration, sent as a number of seconds."""

InventedName = Annotated[str, BeforeValidator(lambda given: "" if given is None else given)]
"""A name that may be left out, or null; then one is invented."""


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


class Body(Model):
    """The body of a route that takes several named values: unknown ones are ignored, null means the default."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in cast("dict[str, Any]", given).items() if value is not None}
