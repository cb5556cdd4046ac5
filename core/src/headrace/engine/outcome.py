"""One attempt of a task: its code is called, and what came of it is said as an `Outcome`."""

from __future__ import annotations

from dataclasses import dataclass
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from headrace.data.state_results import is_state, value_of_state
from headrace.data.transaction_scope import TaskScope
from headrace.engine.final_states import Aggregate, failure_message, returned_states, returned_values
from headrace.engine.ports import Ports, TimeLimitReached
from headrace.engine.prints import redirected
from headrace.model.errors import StoreError, TaskRunTimeoutError

if TYPE_CHECKING:
    from headrace.data.transaction_core import BaseTransaction
    from headrace.engine.task_run import TaskCall


@dataclass(slots=True)
class Outcome:
    """What came of an attempt: the state it leads to, the user's value, and what the record keeps of it."""

    kind: str
    name: str
    message: str | None = None
    value: Any = None
    data: Any = None
    metadata: Any = None
    details: dict[str, Any] | None = None
    error: BaseException | None = None
    transaction: BaseTransaction | None = None
    """The attempt's transaction, still open: it is ended when it is known whether another attempt follows."""


def completed(value: Any) -> Outcome:
    """Return the outcome of code that returned `value`, counting the states and submitted runs in it."""
    states = returned_states(value)
    if not states:
        return Outcome("COMPLETED", "Completed", value=value, data=value)
    if is_state(value) and value.state_details.flow_run_id is None and value.state_details.task_run_id is None:
        data = value_of_state(value) if value.is_completed() else value.data
        return Outcome(value.type.value, value.name, value.message, value=data, data=data)
    whole = Aggregate(states)
    if whole.kind != "COMPLETED":
        return Outcome(whole.kind, whole.kind.capitalize(), whole.message, value=value, data=whole.states)
    values = returned_values(value)
    return Outcome("COMPLETED", "Completed", whole.message, value=values, data=values)


def failed(error: BaseException, kind: str = "Task") -> Outcome:
    """Return the outcome of code that raised."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        # Python turns a StopIteration that leaves a coroutine into this (PEP 479), with a message about the engine's coroutines, not the user's code.
        clearer = RuntimeError(f"The {kind.lower()}'s code raised StopIteration: `next()` found nothing. Give `next` a default, or catch it.")
        clearer.__cause__ = error.__cause__
        error = clearer
    if isinstance(error, TimeoutError):
        return Outcome("FAILED", "TimedOut", f"{kind} run failed due to timeout: {error}", data=error, error=error)
    return Outcome("FAILED", "Failed", failure_message(error, kind), data=error, error=error)


def timed_out(seconds: float, kind: str, error_type: type[BaseException]) -> Outcome:
    """Return the outcome of code that took longer than its limit."""
    message = f"{kind} run exceeded timeout of {seconds:g} second(s)"
    return Outcome("FAILED", "TimedOut", message, data=error_type(message))


async def attempt(call: TaskCall, ports: Ports) -> Outcome:
    """Call the task's code once, within its transaction where it has one."""
    from headrace.engine.persistence import plan, within_transaction

    try:
        keeping = plan(call)
    except Exception as error:  # noqa: BLE001  # options that name no such serializer or storage: the run fails with them
        return failed(error)
    if keeping is None:
        with TaskScope(call.record.name, ports.mode) as scope:
            try:
                outcome = await run_body(call, ports)
            except BaseException as error:
                if scope.transaction is not None:
                    await scope.transaction.close(error)
                raise
        outcome.transaction = scope.transaction
        return outcome
    return await within_transaction(call, keeping, ports)


async def run_body(call: TaskCall, ports: Ports) -> Outcome:
    """Call the task's function and judge what it returns or raises. Signals and interrupts pass through."""
    task, context = call.task, call.context
    assert context is not None
    args, kwargs = task.function.unbind(call.parameters)
    try:
        if task.timeout_seconds is None and not context.log_prints:
            value = await ports.call(task.fn, args, kwargs)
        else:
            with redirected(context.log_prints):
                value = await _limited(call, args, kwargs, ports)
        if isinstance(value, GeneratorType):
            value = list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # a user's value
    except TimeLimitReached:
        return timed_out(task.timeout_seconds or 0, "Task", TaskRunTimeoutError)
    except StoreError:
        raise  # runs cannot be recorded any more
    except Exception as error:  # noqa: BLE001  # the border to the user's code: what it raises becomes the run's state
        return failed(error)
    return completed(value)


async def _limited(call: TaskCall, args: tuple[Any, ...], kwargs: dict[str, Any], ports: Ports) -> Any:
    seconds = call.task.timeout_seconds
    if seconds is None:
        return await ports.call(call.task.fn, args, kwargs)
    async with ports.limit(seconds):
        return await ports.call(call.task.fn, args, kwargs)
