"""Proposing a state, and what the orchestrator answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from headrace.model.base import Model
from headrace.model.states import State, StateCreate


class SetStateStatus(StrEnum):
    """What became of a proposed state.

    ACCEPT: it was written. REJECT: another was written in its place, or the present one stays. WAIT: nothing was written, ask again
    later. ABORT: nothing was written and the run must stop.
    """

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    ABORT = "ABORT"
    WAIT = "WAIT"


class StateAcceptDetails(Model):
    type: Literal["accept_details"] = "accept_details"


class StateRejectDetails(Model):
    type: Literal["reject_details"] = "reject_details"
    reason: str | None = None


class StateAbortDetails(Model):
    type: Literal["abort_details"] = "abort_details"
    reason: str | None = None


class StateWaitDetails(Model):
    type: Literal["wait_details"] = "wait_details"
    delay_seconds: int
    reason: str | None = None


StateResponseDetails = Annotated[StateAcceptDetails | StateWaitDetails | StateRejectDetails | StateAbortDetails, Field(discriminator="type")]


class SetState(Model):
    """A state proposed for a run. `force` skips the rules, apart from those that keep results and slots in order."""

    state: StateCreate
    force: bool = False


class OrchestrationResult(Model):
    """The answer to a proposed state: the state the run is in now, and why."""

    state: State | None
    status: SetStateStatus
    details: StateResponseDetails


class FlowRunOrchestrationResult(Model):
    """The answer to a proposed state for one of several flow runs."""

    flow_run_id: UUID
    status: SetStateStatus
    state: State | None = None
    details: StateResponseDetails


class FlowRunBulkSetStateResponse(Model):
    """The answers to a state proposed for several flow runs."""

    results: list[FlowRunOrchestrationResult] = Field(default_factory=list[FlowRunOrchestrationResult])


class ResumeRun(Model):
    """Inputs for a paused run that waits for them."""

    run_input: dict[str, Any] | None = None
