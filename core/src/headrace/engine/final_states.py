"""From values and exceptions to states, and back. The one place that knows what a final state means for the caller."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any, cast

from headrace.client.bridge import drive
from headrace.data.state_results import HeldResult, aget_state_result, is_state, is_stored_result, value_of_state
from headrace.engine.dependencies import PLAIN
from headrace.engine.futures import HeadraceFuture, HeadraceFutureList, resolve_futures_to_states
from headrace.engine.signals import was_terminated
from headrace.model.errors import (
    TerminationSignal,
    UpstreamTaskError,
)

if TYPE_CHECKING:
    from types import TracebackType

    from headrace.data.task_record import TaskRecord
    from headrace.model.states import State


def value_of_record(record: TaskRecord) -> Any:
    """Return the value of a task run that completed in this process."""
    data = record.data
    return data.result if is_stored_result(data) else data


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


def exception_or_data(upstream: Any) -> Any:
    """Return what a run that did not complete left: its exception, or its data where there is none."""
    state = upstream.state if isinstance(upstream, HeadraceFuture) else upstream  # pyright: ignore[reportUnknownMemberType]  # its value may be of any type
    if state.is_final():
        return drive(aget_state_result(state, raise_on_failure=False))
    return state.data


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
        if isinstance(one, Record):  # a stored run has a state too, which is not what this run returns
            raise StopVisiting(one)
        return one

    from headrace.data.collections import StopVisiting, visit_collection
    from headrace.model.base import Record

    visit_collection(value, see)
    return found


def returned_values(value: Any) -> Any:
    """Return what a run returned with values in the place of its states and submitted runs, however deep. All of them have completed."""
    from headrace.data.collections import StopVisiting, visit_collection
    from headrace.model.base import Record

    def see(one: Any) -> Any:
        if isinstance(one, Record):
            raise StopVisiting(one)
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
