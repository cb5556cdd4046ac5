"""One flow run, from its arguments to its final state. The order of things is the order of the lines in `run_flow`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from headrace.client import bridge
from headrace.client.bridge import drive
from headrace.client.recording import spool
from headrace.data.functions import RunNameError, make_run_name
from headrace.data.state_results import aget_state_result
from headrace.engine import logs
from headrace.engine.context import FlowRunContext, RunContext, current, enter, leave
from headrace.engine.dependencies import check_wait_for, is_plain, listed, resolve_parameters, wait_for_upstream
from headrace.engine.final_states import crash_message
from headrace.engine.flow_record import FlowRecord, parent_link
from headrace.engine.hooks import run_hooks
from headrace.engine.outcome import Outcome, completed, failed, timed_out
from headrace.engine.persistence import persist_flow_result, persists_by_default, store_for_flow
from headrace.engine.ports import ASYNC, BLOCKING, Ports, TimeLimitReached
from headrace.engine.prints import redirected
from headrace.engine.signals import termination_raises, was_terminated
from headrace.engine.startup import start_once
from headrace.engine.subflows import ParentLink, reusable_child
from headrace.model import clock
from headrace.model.errors import Abort, FlowRunTimeoutError, ParameterTypeError, Pause, ServerUnreachable, StoreError, UpstreamTaskError
from headrace.objects import heartbeats

if TYPE_CHECKING:
    from uuid import UUID

    from headrace.engine.flow import Flow
    from headrace.model.flow_runs import FlowRun
    from headrace.model.states import State

DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40


class FlowCall:
    """One call of a flow: what is asked for, and what has become of it."""

    __slots__ = ("enclosing", "flow", "frame", "link", "outcome", "parameters", "record", "wait_for")

    def __init__(self, flow: Flow[..., Any], parameters: dict[str, Any], wait_for: list[Any] | None, flow_run: FlowRun | None = None) -> None:
        self.flow = flow
        self.parameters = parameters
        self.wait_for = wait_for
        self.enclosing = current()
        self.link: ParentLink | None = None
        self.frame: FlowRunContext | None = None
        self.record = FlowRecord(flow, flow_run)
        self.outcome: Outcome | None = None


def call_flow(flow: Flow[..., Any], parameters: dict[str, Any], wait_for: Iterable[Any] | None, return_state: bool) -> Any:
    """Run a flow for a caller who waits: in this thread, or as a coroutine for an async flow."""
    return start_call(FlowCall(flow, parameters, listed(wait_for)), return_state)


def start_call(call: FlowCall, return_state: bool) -> Any:
    """Run a prepared call and answer its caller."""
    if call.flow.isgenerator:
        from headrace.engine.generators import iterate_flow

        return iterate_flow(call, return_state)
    if call.flow.isasync:
        return bridge.named(_call_async(call, return_state), f"flow {call.flow.name}")
    with termination_raises(call.enclosing.flow is None):
        return drive(_run_and_answer(call, BLOCKING, return_state))


async def _call_async(call: FlowCall, return_state: bool) -> Any:
    token = bridge.mode.set("async")
    try:
        with termination_raises(call.enclosing.flow is None):
            return await _run_and_answer(call, ASYNC, return_state)
    finally:
        bridge.mode.reset(token)


async def _run_and_answer(call: FlowCall, ports: Ports, return_state: bool) -> Any:
    state = await run_flow(call, ports)
    if return_state:
        return state
    outcome = call.outcome
    if state.is_completed() and outcome is not None and outcome.kind == "COMPLETED":
        return outcome.value
    if outcome is not None and outcome.error is not None:
        raise outcome.error
    return await aget_state_result(state)


async def run_flow(call: FlowCall, ports: Ports) -> State:
    """Run the flow and return its final state, whatever its code did. Raises signals, interrupts and errors of the store."""
    try:
        state = await _run_until_ended(call, ports)
    except BaseException as error:
        await crash(call, error, ports)
        await close(call, error)
        raise
    await close(call)
    return state


async def _run_until_ended(call: FlowCall, ports: Ports) -> State:
    ended = await prepare(call, ports)
    while ended is None:
        state = await call.record.begin(ports)
        if not state.is_running():
            return state
        outcome = call.outcome = await _attempt(call, ports)
        ended = await finish(call, outcome, ports)
    return ended


async def prepare(call: FlowCall, ports: Ports) -> State | None:
    """Create the run. Returns the state of one that has ended already: its parameters were refused, or an earlier attempt completed it."""
    await start_once(ports)
    link = call.link = await parent_link(call)
    if link is not None:
        state = await reusable_child(call, link)
        if state is not None:
            return state
    problem = await _create(call, ports)
    return await _refuse(call, problem, ports) if problem is not None else None


async def close(call: FlowCall, error: BaseException | None = None) -> None:
    """Tell the parent, and have everything of an outermost run delivered. With a broken store as the `error` there is nothing left to do."""
    if call.record.exists:
        heartbeats.end(call.record.run)
    if isinstance(error, (StoreError, ServerUnreachable)):
        return
    if call.link is not None:
        call.link.finish(call.record.state if call.record.exists else None)
    if call.enclosing.flow is None:
        await spool().settle()


async def _create(call: FlowCall, ports: Ports) -> Exception | None:
    """Create the run as Pending with its resolved, validated parameters. Returns what is wrong with them, if anything is."""
    flow, record, link = call.flow, call.record, call.link
    problem: Exception | None = None
    if call.wait_for or not is_plain(call.parameters):
        try:
            await wait_for_upstream(call.parameters, call.wait_for, ports, None)
            sources = check_wait_for(call.wait_for)
            call.parameters, inputs = resolve_parameters(call.parameters, call.enclosing.flow)
            if link is not None:
                link.record.task_inputs = {**inputs, "wait_for": sources} if sources else inputs
        except UpstreamTaskError as error:
            problem = error
    if problem is None:
        try:
            if not is_plain(call.parameters):
                from headrace.engine.parameters import with_saved_blocks

                call.parameters = with_saved_blocks(call.parameters)
            if flow.should_validate_parameters:
                call.parameters = flow.validate_parameters(call.parameters)
        except ParameterTypeError as error:
            problem = error
    name = None
    if problem is None and flow.flow_run_name is not None:
        try:
            name = make_run_name(flow.flow_run_name, call.parameters, "flow_run_name")
        except RunNameError as error:
            problem = error
    await record.create(flow.serialize_parameters(call.parameters), name, call.enclosing.tags, link, ports)
    _log(call, INFO, "Beginning %s run %r for flow %r", "subflow" if link is not None else "flow", record.run.name, flow.name)
    return problem


async def _refuse(call: FlowCall, problem: Exception, ports: Ports) -> State:
    """End a run whose body cannot start."""
    if isinstance(problem, UpstreamTaskError):
        state = await call.record.propose("PENDING", "NotReady", str(problem))
        call.outcome = Outcome("PENDING", "NotReady", str(problem), error=problem)
        return state
    if isinstance(problem, RunNameError):
        message, error = str(problem), problem.__cause__
    else:
        message, error = f"Validation of flow parameters failed with error: {type(problem).__name__}: {problem}", problem
    call.outcome = Outcome("FAILED", "Failed", message, data=error, error=error)
    _log(call, ERROR, "%s", message)
    state = await call.record.propose("FAILED", "Failed", message, data=error, force=True)
    await _final_hooks(call, state, ports)
    return state


async def _attempt(call: FlowCall, ports: Ports) -> Outcome:
    """Run the body once in its context, and wait for what it submitted."""
    flow, record = call.flow, call.record
    frame = open_frame(call)
    entered = enter(RunContext(frame, None, call.enclosing.tags))
    try:
        if flow.on_running_hooks:
            await run_hooks(flow.on_running_hooks, lambda: (flow, record.run, record.state), frame, None, ports)
        with frame.task_runner:
            outcome = await _run_body(call, frame, ports)
            await wait_for_submitted(frame, ports)
        _warn_of_unseen_failures(call, frame, outcome)
        return outcome
    except BaseException as error:
        _abandon_submitted(frame, error)
        raise
    finally:
        leave(entered)


def open_frame(call: FlowCall) -> FlowRunContext:
    """Return the context of one attempt, with a task runner of its own."""
    flow, record, parent = call.flow, call.record, call.enclosing.flow
    frame = call.frame = FlowRunContext(
        flow,
        record.run,
        call.parameters,
        clock.now(),
        flow.task_runner.duplicate(),
        log_prints=_log_prints(flow, parent),
        persist_result=_persists(flow, parent),
        parent=call.enclosing,
        attempt=record.attempt,
        children=record.children,
        result_store_factory=partial(store_for_flow, flow, parent),
    )
    heartbeats.begin(record.run, flow.name)
    return frame


async def wait_for_submitted(frame: FlowRunContext, ports: Ports) -> None:
    """Wait until every submitted run has ended, those that runs submit meanwhile too: a `for` loop sees what is appended to its list."""
    for future in frame.submitted:
        if not future.done:
            await ports.wait_for(future)


async def _run_body(call: FlowCall, frame: FlowRunContext, ports: Ports) -> Outcome:
    flow = call.flow
    args, kwargs = flow.function.unbind(call.parameters)
    try:
        with redirected(frame.log_prints):
            if flow.timeout_seconds is None:
                value = await ports.call(flow.fn, args, kwargs)
            else:
                async with ports.limit(flow.timeout_seconds):
                    value = await ports.call(flow.fn, args, kwargs)
            if isinstance(value, GeneratorType):
                value = list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # a user's value
    except TimeLimitReached:
        frame.task_runner.cancel_all()
        return timed_out(flow.timeout_seconds or 0, "Flow", FlowRunTimeoutError)
    except StoreError:
        raise  # runs cannot be recorded any more
    except Exception as error:  # noqa: BLE001  # the border to the user's code: what it raises becomes the run's state
        return failed(error, "Flow")
    return completed(value)


def _log_prints(flow: Flow[..., Any], parent: FlowRunContext | None) -> bool:
    if flow.log_prints is not None:
        return flow.log_prints
    if parent is not None:
        return parent.log_prints
    from headrace.settings import get_current_settings

    return get_current_settings().logging.log_prints


def _persists(flow: Flow[..., Any], parent: FlowRunContext | None) -> bool:
    if flow.persist_result is not None:
        return flow.persist_result
    if parent is not None:
        return parent.persist_result
    return persists_by_default()


def _warn_of_unseen_failures(call: FlowCall, frame: FlowRunContext, outcome: Outcome) -> None:
    if outcome.kind != "COMPLETED":
        return
    bad = [future.name for future in frame.submitted if future.done and future.failed_unseen]
    if bad:
        shown = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        _log(call, WARNING, "Submitted tasks failed and nothing looked at their results: %s. The flow run completes all the same.", shown)


def _abandon_submitted(frame: FlowRunContext, error: BaseException) -> None:
    for future in frame.submitted:
        if not future.done:
            future.abandon(crash_message(error))


async def finish(call: FlowCall, outcome: Outcome, ports: Ports) -> State | None:
    """Propose the final state. Returns it, or None when the run is to be tried again."""
    record = call.record
    if call.frame is not None and call.frame.persist_result:
        await persist_flow_result(call, outcome)
    await spool().settle()  # nobody sees the flow run's end before those of its task runs
    state = await record.propose(outcome.kind, outcome.name, outcome.message, outcome.metadata, outcome.data)
    if state.is_scheduled() and state.name == "AwaitingRetry":
        _log(call, INFO, "%s", outcome.message, exc_info=outcome.error)
        _log(
            call,
            INFO,
            "Received non-final state %r when proposing final state %r and will attempt to run again...",
            state.name,
            outcome.name,
        )
        record.attempt += 1
        return None
    await _final_hooks(call, state, ports)
    if state.is_cancelling():
        # It was told to stop while its code ran. Nothing here can interrupt that code, but the run is over now.
        state = await record.propose("CANCELLED", "Cancelled", "The flow run was cancelled while it ran.")
    if state.is_completed():
        _log(call, INFO, "Finished in state %s", state)
    else:
        _log(call, ERROR, "%s", outcome.message or state.name, exc_info=outcome.error)
        _log(call, ERROR, "Finished in state %s", state)
    return state


async def _final_hooks(call: FlowCall, state: State, ports: Ports) -> None:
    flow, record = call.flow, call.record
    hooks = (
        flow.on_completion_hooks if state.is_completed()
        else flow.on_failure_hooks if state.is_failed()
        else flow.on_crashed_hooks if state.is_crashed()
        else flow.on_cancellation_hooks if state.is_cancelling()
        else ()
    )  # fmt: skip
    if not hooks:
        return
    entered = enter(RunContext(call.frame, None, call.enclosing.tags)) if call.frame is not None else None
    try:
        await run_hooks(hooks, lambda: (flow, record.run, state), record.frame(call), None, ports)
    finally:
        if entered is not None:
            leave(entered)


async def crash(call: FlowCall, error: BaseException, ports: Ports) -> None:
    """Say that something outside the flow's code stopped it.

    Does nothing when the run has ended, does not exist, was told to pause or stop, or when the store itself is what is broken: the next process
    that can write marks the run, as its owner is dead then.
    """
    record = call.record
    if isinstance(error, (Pause, Abort, StoreError, ServerUnreachable)) or not record.exists or record.state.is_final():
        return
    await spool().settle()
    if was_terminated() and await record.is_being_cancelled(_outermost(call)):
        if not record.state.is_cancelling():  # it is a part of the run that is
            await record.propose("CANCELLING", "Cancelling")
        await _final_hooks(call, record.state, ports)
        await record.propose("CANCELLED", "Cancelled", "The flow run was cancelled, and its process told to end.")
        await spool().settle()
        return
    message = crash_message(error)
    state = await record.propose("CRASHED", "Crashed", message, data=error, force=True)
    _log(call, ERROR, "%s", message)
    await _final_hooks(call, state, ports)
    await spool().settle()


def _outermost(call: FlowCall) -> UUID:
    """Return the id of the run that this process runs, of which the call may be a part."""
    run_id, frame = call.record.run.id, call.enclosing.flow
    while frame is not None:
        run_id, frame = frame.run_id, frame.parent.flow if frame.parent is not None else None
    return run_id


def _log(call: FlowCall, level: int, message: str, *values: Any, exc_info: BaseException | None = None) -> None:
    logs.flow_log(call.record.run, call.flow.name, level, message, *values, exc_info=exc_info)
