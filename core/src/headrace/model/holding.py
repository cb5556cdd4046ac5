"""Why a run does not run: what holds it, since when, who has what it waits for, and the command that would free it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from headrace.model.base import Model
from headrace.model.states import StateType


class Holder(Model):
    """A run that has a slot which another one waits for."""

    kind: str = "flow-run"
    id: UUID
    name: str = ""
    state_name: str | None = None
    since: datetime | None = None


class Cause(Model):
    """One thing that holds a run. `code` is stable, for programs; `command` frees the run, where a command can."""

    code: str
    message: str
    since: datetime | None = None
    holders: list[Holder] = Field(default_factory=list[Holder])
    command: str | None = None
    run_id: UUID | None = None
    """The run that is held, where it is one inside the run that was asked about."""


class Holding(Model):
    """What holds a run. Without causes nothing does: it runs, has ended, or begins in a moment."""

    kind: str
    id: UUID
    name: str
    state_type: StateType | None = None
    state_name: str | None = None
    state_message: str | None = None
    since: datetime | None = None
    summary: str
    causes: list[Cause] = Field(default_factory=list[Cause])
