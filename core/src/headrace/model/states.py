"""States of runs: types, names, details, constructors and groups. Reading a state's result needs storage: see `State.aresult`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from headrace.model import clock, ids
from headrace.model.base import Action, Model

S = TypeVar("S", bound="State")


class StateType(StrEnum):
    """The kinds of states, as they are stored and sent."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"


TERMINAL_STATES = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED})

DEFAULT_NAMES = {kind: kind.value.capitalize() for kind in StateType}


class StateDetails(Model):
    """What a state carries beside its type: ids, times, keys."""

    flow_run_id: UUID | None = None
    task_run_id: UUID | None = None
    child_flow_run_id: UUID | None = None
    scheduled_time: datetime | None = None
    cache_key: str | None = None
    cache_expiration: datetime | None = None
    deferred: bool | None = False
    untrackable_result: bool = False
    pause_timeout: datetime | None = None
    pause_reschedule: bool = False
    pause_key: str | None = None
    run_input_keyset: dict[str, str] | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    transition_id: UUID | None = None
    task_parameters_id: UUID | None = None
    traceparent: str | None = None
    deployment_concurrency_lease_id: UUID | None = None


class _Kind:
    """Questions that a state of any shape answers about its type."""

    type: StateType

    def is_scheduled(self) -> bool:
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        return self.type is StateType.RUNNING

    def is_completed(self) -> bool:
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        return self.type is StateType.CRASHED

    def is_cancelled(self) -> bool:
        return self.type is StateType.CANCELLED

    def is_cancelling(self) -> bool:
        return self.type is StateType.CANCELLING

    def is_paused(self) -> bool:
        return self.type is StateType.PAUSED

    def is_final(self) -> bool:
        """Say whether the run has ended."""
        return self.type in TERMINAL_STATES


class State(Model, _Kind):
    """The state of a run at one moment.

    `name` defaults to the type in title case; a SCHEDULED state without a time is scheduled for now. `data` is what the
    run left: a result, a result's metadata (`storage_key`, `expiration`, `serializer`, …) or nothing. Equal states have equal ids.
    """

    id: UUID = Field(default_factory=ids.new)
    type: StateType
    name: str | None = None
    timestamp: datetime = Field(default_factory=clock.now)
    message: str | None = None
    data: Any = None
    state_details: StateDetails = Field(default_factory=StateDetails)
    created: datetime | None = Field(default=None, exclude=True)  # its timestamp says it, so it is not sent
    updated: datetime | None = Field(default=None, exclude=True)

    @field_validator("state_details", mode="before")
    @classmethod
    def _no_details(cls, value: Any) -> Any:
        return StateDetails() if value is None else value

    def model_post_init(self, context: Any) -> None:
        if self.name is None:
            self.name = DEFAULT_NAMES[self.type]
        if self.type is StateType.SCHEDULED and self.state_details.scheduled_time is None:
            self.state_details.scheduled_time = clock.now()

    def result(self, raise_on_failure: bool = True, retry_result_failure: bool = True) -> Any:
        """Return what the run left, or raise what it raised.

        Raises `UnfinishedRun` for a state that is not final, `PausedRun` for a paused one, `MissingResult` when the value was not
        persisted and this process does not hold it; for a failed run its exception (returned instead with `raise_on_failure=False`).
        """
        # The root package is where rooms are put together: reading storage is above the model, and users call it on the model.
        import headrace.states

        return headrace.states.get_state_result(self, raise_on_failure, retry_result_failure)

    def aresult(self, raise_on_failure: bool = True, retry_result_failure: bool = True) -> Any:
        """Await what `result` returns."""
        import headrace.states

        return headrace.states.aget_state_result(self, raise_on_failure, retry_result_failure)

    def fresh_copy(self: S, **changes: Any) -> S:
        """Return this state with a new id and the present time, as for another run that reaches it."""
        changes = {"id": ids.new(), "timestamp": clock.now(), "created": None, "updated": None, **changes}
        copy = self.model_copy(update=changes)
        if "state_details" not in changes:
            copy.state_details = self.state_details.model_copy(
                update={"flow_run_id": None, "task_run_id": None, "child_flow_run_id": None, "transition_id": None}
            )
        return copy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.id == other.id

    def __lt__(self, other: State) -> bool:
        return self.id < other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        shown = [repr(self.message)] if self.message else []
        if self.name and self.name != DEFAULT_NAMES[self.type]:
            shown.append(f"type={self.type.value}")
        return f"{self.name}({', '.join(shown)})"

    def __repr__(self) -> str:
        shown = {"message": self.message, "type": self.type.value, "id": str(self.id)}
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in shown.items() if value is not None)})"


class StateCreate(Action, _Kind):
    """A state that is proposed. The orchestrator gives it its time and, unless one is sent, its id."""

    type: StateType
    name: str | None = None
    message: str | None = None
    data: Any = None
    state_details: StateDetails = Field(default_factory=StateDetails)
    timestamp: datetime | None = None
    id: UUID | None = None

    @model_validator(mode="after")
    def _fill(self) -> StateCreate:
        if self.name is None:
            self.name = DEFAULT_NAMES[self.type]
        if self.type is StateType.SCHEDULED and self.state_details.scheduled_time is None:
            self.state_details.scheduled_time = clock.now()
        return self


# --- constructors: every documented (type, name) pair -------------------------------------------------------------


def _make(cls: type[S], kind: StateType, name: str, details: Mapping[str, Any], values: dict[str, Any]) -> S:
    if not details and "state_details" not in values:
        whole: dict[str, Any] = {"type": kind, "name": name, **values}
        return cls(**whole)
    given = values.pop("state_details", None)
    merged = given.model_dump(exclude_unset=True) if isinstance(given, StateDetails) else dict(given or {})
    merged.update({key: value for key, value in details.items() if value is not None})
    detailed: dict[str, Any] = {"type": kind, "name": name, **values, "state_details": StateDetails(**merged)}
    return cls(**detailed)


def Scheduled(cls: type[State] = State, scheduled_time: datetime | None = None, **values: Any) -> State:
    """A run that waits for `scheduled_time` (default: now)."""
    return _make(cls, StateType.SCHEDULED, "Scheduled", {"scheduled_time": scheduled_time or clock.now()}, values)


def Late(cls: type[State] = State, scheduled_time: datetime | None = None, **values: Any) -> State:
    """A scheduled run that nobody picked up in time."""
    return _make(cls, StateType.SCHEDULED, "Late", {"scheduled_time": scheduled_time}, values)


def AwaitingRetry(cls: type[State] = State, scheduled_time: datetime | None = None, **values: Any) -> State:
    """A failed run that is tried again at `scheduled_time`."""
    return _make(cls, StateType.SCHEDULED, "AwaitingRetry", {"scheduled_time": scheduled_time or clock.now()}, values)


def AwaitingConcurrencySlot(cls: type[State] = State, scheduled_time: datetime | None = None, **values: Any) -> State:
    """A run that waits for a slot of its deployment."""
    return _make(cls, StateType.SCHEDULED, "AwaitingConcurrencySlot", {"scheduled_time": scheduled_time}, values)


def Resuming(cls: type[State] = State, scheduled_time: datetime | None = None, **values: Any) -> State:
    """A suspended run that was told to go on."""
    return _make(cls, StateType.SCHEDULED, "Resuming", {"scheduled_time": scheduled_time or clock.now()}, values)


def Pending(cls: type[State] = State, **values: Any) -> State:
    """A run about to start."""
    return _make(cls, StateType.PENDING, "Pending", {}, values)


def Submitting(cls: type[State] = State, **values: Any) -> State:
    """A run that is being handed to its infrastructure."""
    return _make(cls, StateType.PENDING, "Submitting", {}, values)


def InfrastructurePending(cls: type[State] = State, **values: Any) -> State:
    """A run whose infrastructure is being made."""
    return _make(cls, StateType.PENDING, "InfrastructurePending", {}, values)


def NotReady(cls: type[State] = State, **values: Any) -> State:
    """A run that never starts because one it depends on did not complete."""
    return _make(cls, StateType.PENDING, "NotReady", {}, values)


def Running(cls: type[State] = State, **values: Any) -> State:
    """A run whose code is being executed."""
    return _make(cls, StateType.RUNNING, "Running", {}, values)


def Retrying(cls: type[State] = State, **values: Any) -> State:
    """A run whose code is being executed again."""
    return _make(cls, StateType.RUNNING, "Retrying", {}, values)


def Completed(cls: type[State] = State, **values: Any) -> State:
    """A run that ended well."""
    return _make(cls, StateType.COMPLETED, "Completed", {}, values)


def Failed(cls: type[State] = State, **values: Any) -> State:
    """A run whose code raised, timed out or returned a failure."""
    return _make(cls, StateType.FAILED, "Failed", {}, values)


def Crashed(cls: type[State] = State, **values: Any) -> State:
    """A run that something outside its code stopped."""
    return _make(cls, StateType.CRASHED, "Crashed", {}, values)


def Cancelling(cls: type[State] = State, **values: Any) -> State:
    """A run that was told to stop."""
    return _make(cls, StateType.CANCELLING, "Cancelling", {}, values)


def Cancelled(cls: type[State] = State, **values: Any) -> State:
    """A run that was stopped on request."""
    return _make(cls, StateType.CANCELLED, "Cancelled", {}, values)


def Paused(
    cls: type[State] = State,
    timeout_seconds: float | None = None,
    pause_expiration_time: datetime | None = None,
    reschedule: bool = False,
    pause_key: str | None = None,
    **values: Any,
) -> State:
    """A run that waits to be resumed, until `pause_expiration_time` or for `timeout_seconds` (one of them, or neither)."""
    if timeout_seconds is not None and pause_expiration_time is not None:
        raise ValueError("Give either timeout_seconds or pause_expiration_time, not both: they say the same thing.")
    until = pause_expiration_time
    if timeout_seconds is not None:
        until = clock.now() + timedelta(seconds=timeout_seconds)
    details = {"pause_timeout": until, "pause_reschedule": reschedule, "pause_key": pause_key}
    return _make(cls, StateType.PAUSED, "Paused", details, values)


def Suspended(
    cls: type[State] = State,
    timeout_seconds: float | None = None,
    pause_expiration_time: datetime | None = None,
    pause_key: str | None = None,
    **values: Any,
) -> State:
    """A run whose process ended and that is scheduled again when it is resumed."""
    return Paused(
        cls,
        timeout_seconds,
        pause_expiration_time,
        reschedule=True,
        pause_key=pause_key,
        **{"name": "Suspended", **values},
    )


class StateGroup:
    """Several states looked at together, as those that a flow returned."""

    def __init__(self, states: Iterable[State]) -> None:
        self.states = list(states)
        self.type_counts = Counter(state.type for state in self.states)
        self.total_count = len(self.states)
        self.cancelled_count = self.type_counts[StateType.CANCELLED]
        self.final_count = sum(state.is_final() for state in self.states)
        self.not_final_count = self.total_count - self.final_count
        self.paused_count = self.type_counts[StateType.PAUSED]

    @property
    def fail_count(self) -> int:
        """How many ended as Failed or Crashed."""
        return self.type_counts[StateType.FAILED] + self.type_counts[StateType.CRASHED]

    def all_completed(self) -> bool:
        return self.type_counts[StateType.COMPLETED] == self.total_count

    def any_cancelled(self) -> bool:
        return self.cancelled_count > 0

    def any_failed(self) -> bool:
        return self.fail_count > 0

    def any_paused(self) -> bool:
        return self.paused_count > 0

    def all_final(self) -> bool:
        return self.final_count == self.total_count

    def counts_message(self) -> str:
        """Return a line as "total=3 'COMPLETED'=2 'FAILED'=1"."""
        parts = [f"total={self.total_count}"]
        if self.not_final_count:
            parts.append(f"not_final={self.not_final_count}")
        parts += [f"{kind.value!r}={count}" for kind, count in self.type_counts.items() if count]
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"StateGroup<{self.counts_message()}>"
