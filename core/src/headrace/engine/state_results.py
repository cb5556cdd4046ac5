"""From values and exceptions to states, and back. The one place that knows what a final state means for the caller."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any, cast

from headrace.client.bridge import blocking, drive
from headrace.engine.dependencies import PLAIN
from headrace.engine.futures import HeadraceFuture, HeadraceFutureList, resolve_futures_to_states
from headrace.engine.signals import was_terminated
from headrace.model.errors import (
    CancelledRun,
    CrashedRun,
    FailedRun,
    MissingResult,
    PausedRun,
    TerminationSignal,
    UnfinishedRun,
    UpstreamTaskError,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from headrace.engine.task_record import TaskRecord
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
    return isinstance(data, HeldResult) or _is_result(data)


# --- reading -----------------------------------------------------------------------------------------------------------


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
    if metadata is not data or _is_result(data):
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


def _is_result(data: Any) -> bool:
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


def value_of_record(record: TaskRecord) -> Any:
    """Return the value of a task run that completed in this process."""
    data = record.data
    return data.result if _is_result(data) else data


def result_of_record(record: TaskRecord, raise_on_failure: bool) -> Any:
    """Return what a task run of this process left, or raise what it raised."""
    last = record.states[-1]
    if last[1] == "COMPLETED":
        return value_of_record(record)
    if last[2] == "NotReady":
        error = UpstreamTaskError(last[4])
        if raise_on_failure:
            raise error
        return error
    return drive(aget_state_result(record.state(), raise_on_failure))


def value_of_future(future: HeadraceFuture[Any]) -> Any:
    """Return the value of a submitted run that completed."""
    return future.result(raise_on_failure=True)


def value_of_state(state: State) -> Any:
    """Return the value of a completed state."""
    return drive(aget_state_result(state))


def exception_or_data(upstream: Any) -> Any:
    """Return what a run that did not complete left: its exception, or its data where there is none."""
    state = upstream.state if isinstance(upstream, HeadraceFuture) else upstream  # pyright: ignore[reportUnknownMemberType]  # its value may be of any type
    if state.is_final():
        return drive(aget_state_result(state, raise_on_failure=False))
    return state.data


# --- making ----------------------------------------------------------------------------------------------------------------


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


def format_exception(exc: BaseException, tb: TracebackType | None = None) -> str:
    """Return an exception as text, with the traceback `tb`; default: its own, without the engine's frames."""
    return "".join(traceback.format_exception(type(exc), exc, tb or user_traceback(exc)))


def user_traceback(error: BaseException) -> Any:
    """Return the part of an exception's traceback that begins in the user's code, or all of it when there is none."""
    here = error.__traceback__
    while here is not None and "/headrace/engine/" in here.tb_frame.f_code.co_filename:
        here = here.tb_next
    return here or error.__traceback__


def failure_message(error: BaseException, kind: str) -> str:
    """Say in one line that a run's code raised."""
    return f"{kind} run encountered an exception: {type(error).__name__}: {error}"


def crash_message(error: BaseException) -> str:
    """Say in one line what stopped a run from outside its code."""
    name = type(error).__name__
    if name == "CancelledError" and not was_terminated():
        return "Execution was cancelled by the runtime environment."
    if name == "EnclosingLimitReached":
        return "Execution was cancelled, for the time limit of an enclosing run passed."
    if isinstance(error, KeyboardInterrupt):
        return "Execution was aborted by an interrupt signal."
    if isinstance(error, TerminationSignal) or was_terminated():
        return "Execution was aborted by a termination signal."
    if isinstance(error, SystemExit):
        return "Execution was aborted by Python system exit call."
    return f"Execution was interrupted by an unexpected exception: {name}: {error}"


async def exception_to_crashed_state(exc: BaseException, result_store: Any = None) -> State:
    """Return the Crashed state for something that stopped a run from outside its code."""
    from headrace.model.states import Crashed

    return Crashed(message=crash_message(exc), data=exc)


async def exception_to_failed_state(exc: BaseException | None = None, result_store: Any = None, write_result: bool = False, **kwargs: Any) -> State:
    """Return the Failed state for an exception that a run's code raised (default: the one being handled)."""
    from headrace.model.states import Failed

    error = exc or sys.exc_info()[1]
    if error is None:
        raise ValueError("Exception was not passed and no active exception could be found.")
    prefix = kwargs.pop("message", None)
    message = f"{type(error).__name__}: {error}"
    values: dict[str, Any] = {"data": error, "message": f"{prefix} {message}" if prefix else message, **kwargs}
    return Failed(**values)


class Aggregate:
    """What a set of returned runs means for the run that returned them."""

    __slots__ = ("kind", "message", "states")

    def __init__(self, states: list[State]) -> None:
        from headrace.model.states import StateGroup

        group = StateGroup(states)
        self.states = states
        if group.all_completed():
            self.kind, self.message = "COMPLETED", "All states completed."
        elif group.any_cancelled():
            self.kind, self.message = "CANCELLED", f"{group.cancelled_count}/{group.total_count} states cancelled."
        elif group.any_paused():
            self.kind, self.message = "PAUSED", f"{group.paused_count}/{group.total_count} states paused."
        else:
            bad = group.total_count - group.type_counts["COMPLETED"]  # pyright: ignore[reportArgumentType]  # a StrEnum equals its text
            self.kind, self.message = "FAILED", f"{bad}/{group.total_count} states failed."


def returned_states(value: Any) -> list[State]:
    """Return every state that a run returned, however deep in collections; submitted runs are waited for."""
    if type(value) in PLAIN:
        return []
    if is_state(value):
        return [value]
    found: list[State] = []

    def see(one: Any) -> Any:
        if isinstance(one, HeadraceFuture):
            future = cast("HeadraceFuture[Any]", one)
            future.wait()
            found.append(future.state)
            return future
        if is_state(one):
            found.append(one)
        return one

    from headrace.data.collections import visit_collection

    visit_collection(value, see)
    return found


def returned_values(value: Any) -> Any:
    """Return what a run returned with values in the place of its states and submitted runs, however deep. All of them have completed."""
    from headrace.data.collections import StopVisiting, visit_collection

    def see(one: Any) -> Any:
        if isinstance(one, HeadraceFutureList):
            return list(cast("list[Any]", one))
        if isinstance(one, HeadraceFuture):
            raise StopVisiting(value_of_future(cast("HeadraceFuture[Any]", one)))
        if is_state(one):
            raise StopVisiting(value_of_state(one))
        return one

    return visit_collection(value, see, return_data=True)


async def return_value_to_state(retval: Any, result_store: Any = None, key: str | None = None, expiration: Any = None) -> State:
    """Return the final state that a run's return value means (states and submitted runs in it are counted; else Completed)."""
    from headrace.model.states import Completed, State

    if isinstance(retval, State) and retval.state_details.flow_run_id is None and retval.state_details.task_run_id is None:
        return retval
    states = returned_states(retval)
    if not states:
        return Completed(data=HeldResult(retval))
    whole = Aggregate(states)
    return State(type=whole.kind, message=whole.message, data=HeldResult(resolve_futures_to_states(retval)))  # pyright: ignore[reportArgumentType]  # a StrEnum equals its text


def to_state_create(state: State) -> StateCreate:
    """Return a state as it is proposed: its data only if it is a stored result's metadata."""
    from headrace.model.states import StateCreate

    data = state.data
    if _is_result(data):
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
