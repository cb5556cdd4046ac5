"""Reading what a final state left: its value, or the exception that it stands for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from headrace.client.bridge import blocking, drive
from headrace.model.errors import (
    CancelledRun,
    CrashedRun,
    FailedRun,
    MissingResult,
    PausedRun,
    UnfinishedRun,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from headrace.model.states import State, StateCreate

STORED_RESULT_ATTEMPTS_MAX = 10
STORED_RESULT_RETRY_SECONDS = 0.25


class HeldResult:
    """A value that lives in this process only: it was not persisted."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"HeldResult({self.value!r})"


def is_held(data: Any) -> bool:
    """Say whether a state's data is a result: held here or persisted."""
    return isinstance(data, HeldResult) or is_stored_result(data)


async def aget_state_result(state: State, raise_on_failure: bool = True, retry_result_failure: bool = True) -> Any:
    """Return what a state left, or raise what it raised; see `State.result`."""
    if state.is_paused():
        raise PausedRun("Run is paused, its result is not available.", state=state)
    if not state.is_final():
        raise UnfinishedRun(f"Run is in {state.name} state, its result is not available.")
    if not state.is_completed():
        error = await aget_state_exception(state)
        if raise_on_failure:
            raise error
        return error
    return await _completed_value(state, retry_result_failure)


async def _completed_value(state: State, retry: bool) -> Any:
    from headrace.data.records import ResultRecord, ResultRecordMetadata

    data = state.data
    if isinstance(data, HeldResult):
        return data.value
    if isinstance(data, ResultRecord):
        return data.result  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # its value may be of any type
    metadata = _as_metadata(data)
    if isinstance(metadata, ResultRecordMetadata):
        return await _stored_value(metadata, retry)
    if data is None:
        if state.state_details.flow_run_id is None and state.state_details.task_run_id is None:
            return None  # a state made by hand
        raise MissingResult(
            "The result was not persisted and is not in this process, so it cannot be read. Set persist_result=True on the task or flow, or "
            "HEADRACE_RESULTS_PERSIST_BY_DEFAULT=true, to keep results."
        )
    return data


def _as_metadata(data: Any) -> Any:
    if not isinstance(data, dict) or "storage_key" not in data:
        return cast("Any", data)
    from headrace.data.records import ResultRecordMetadata

    return ResultRecordMetadata.model_validate(cast("dict[str, Any]", data))


async def _stored_value(metadata: Any, retry: bool) -> Any:
    from headrace.client.bridge import asleep
    from headrace.data.results import read_stored_result

    for attempt in range(1, STORED_RESULT_ATTEMPTS_MAX + 1):
        try:
            return await read_stored_result(metadata)
        except (FileNotFoundError, MissingResult):
            if not retry or attempt == STORED_RESULT_ATTEMPTS_MAX:
                raise
            await asleep(STORED_RESULT_RETRY_SECONDS)
    raise AssertionError("the last attempt returns or raises")


async def aget_state_exception(state: State) -> BaseException:
    """Return the exception that a failed, crashed or cancelled state stands for. Raises `ValueError` for other states."""
    wrapper, default = _wrapper(state)
    data: Any = state.data
    if isinstance(data, HeldResult):
        data = data.value
    metadata = _as_metadata(data)
    if metadata is not data or is_stored_result(data):
        data = await _completed_value(state, retry=False)
    if isinstance(data, BaseException):
        return data
    if data is None or isinstance(data, str):
        return wrapper(data or state.message or default)
    if is_state(data):
        return await aget_state_exception(data)
    if is_state_iterable(data):
        failed = [one for one in data if one.is_failed() or one.is_crashed() or one.is_cancelled()]
        return await aget_state_exception(failed[0] if failed else next(iter(data)))
    raise TypeError(f"Unexpected result for failed state: {data!r} —— expected an exception, text, a state or several states.")


def is_stored_result(data: Any) -> bool:
    """Say whether a state's data is a record of a persisted result."""
    results = sys.modules.get("headrace.data.results")
    return results is not None and isinstance(data, results.ResultRecord)


def _wrapper(state: State) -> tuple[type[Exception], str]:
    if state.is_failed():
        return FailedRun, "Run failed."
    if state.is_crashed():
        return CrashedRun, "Run crashed."
    if state.is_cancelled():
        return CancelledRun, "Run cancelled."
    raise ValueError(f"Expected failed, crashed or cancelled state, got {state!r}.")


async def araise_state_exception(state: State) -> None:
    """Raise what a failed, crashed or cancelled state stands for; do nothing for others."""
    if state.is_failed() or state.is_crashed() or state.is_cancelled():
        raise await aget_state_exception(state)


get_state_result = blocking(aget_state_result)
get_state_exception = blocking(aget_state_exception)
raise_state_exception = blocking(araise_state_exception)


def value_of_state(state: State) -> Any:
    """Return the value of a completed state."""
    return drive(aget_state_result(state))


def is_state(obj: Any) -> bool:
    """Say whether a value is a state."""
    states = sys.modules.get("headrace.model.states")
    return states is not None and isinstance(obj, states.State)


def is_state_iterable(obj: Any) -> bool:
    """Say whether a value is a list, set or tuple of states and of nothing else; an empty one is not."""
    if not isinstance(obj, (list, set, tuple)):
        return False
    members = cast("Collection[Any]", obj)
    return bool(members) and all(map(is_state, members))


def to_state_create(state: State) -> StateCreate:
    """Return a state as it is proposed: its data only if it is a stored result's metadata."""
    from headrace.model.states import StateCreate

    data = state.data
    if is_stored_result(data):
        data = data.metadata
    metadata = data.model_dump(mode="json") if hasattr(data, "storage_key") else _as_metadata(data) if isinstance(data, dict) else None
    if metadata is not None and not isinstance(metadata, dict):
        metadata = metadata.model_dump(mode="json")
    return StateCreate(
        id=state.id,
        type=state.type,
        name=state.name,
        message=state.message,
        data=metadata,
        timestamp=state.timestamp,
        state_details=state.state_details,
    )
