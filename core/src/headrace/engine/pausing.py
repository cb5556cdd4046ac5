"""Pausing a flow run in place, suspending it until it is scheduled again, and resuming it; waiting for a run's end."""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.bridge import asleep, blocking
from headrace.client.connect import current_client
from headrace.client.recording import spool
from headrace.engine import logs
from headrace.engine.context import FlowRunContext, current
from headrace.model import clock, ids
from headrace.model.errors import FlowPauseTimeout, FlowRunWaitTimeout, NotPausedError, ObjectNotFound, Pause
from headrace.model.states import Paused, State, StateCreate, StateType, Suspended

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.flow_runs import FlowRun
    from headrace.model.orchestration import OrchestrationResult

POLL_SECONDS_MAX = 0.25
"""The embedded store answers in well under a millisecond, so a paused run looks for its resumption this often at least."""


async def apause_flow_run(wait_for_input: Any = None, timeout: int = 3600, poll_interval: int = 10, key: str | None = None) -> Any:
    """Pause the flow run that this code belongs to, and block until somebody resumes it.

    Tasks that run already go on. `timeout`: seconds after which a run that nobody resumed fails. `poll_interval`: seconds between two looks at
    most. `key` names this pause: a pause that fired once does not fire again in the run; default: the number of the pause. With
    `wait_for_input` (a type, pydantic model or `RunInput`) the resumption must bring such an input, which is returned.

    Raises `RuntimeError` outside runs, `FlowPauseTimeout` when nobody resumed it in time.
    """
    frame = _frame("pause_flow_run")
    run_id = frame.flow_run.id
    pause_key = key or _next_key(frame)
    proposed = Paused(timeout_seconds=timeout, pause_key=pause_key)
    input_type = await _asked_for(wait_for_input, proposed, run_id)
    await spool().settle()
    answer = await _propose(run_id, proposed)
    state = answer.state
    if state is None or not state.is_paused():
        return await _already_fired(answer, input_type, proposed, run_id)
    frame.flow_run.state = state
    logs.flow_log(frame.flow_run, frame.flow.name, 20, "Pausing flow, execution will continue when this flow run is resumed.")
    await _wait_until_resumed(frame, run_id, timeout, min(poll_interval, POLL_SECONDS_MAX))
    return await _received(input_type, proposed, run_id)


async def _wait_until_resumed(frame: FlowRunContext, run_id: UUID, timeout: float, interval: float) -> None:
    client = current_client()
    deadline = clock.monotonic() + timeout
    while True:
        await asleep(max(0.0, min(interval, deadline - clock.monotonic())))
        state = await _state(client, run_id)
        if state.is_running():
            frame.flow_run.state = state
            logs.flow_log(frame.flow_run, frame.flow.name, 20, "Resuming flow run execution!")
            return
        if state.is_paused() and clock.monotonic() >= deadline:
            state = (await _propose(run_id, State(type=StateType.RUNNING))).state or state
            if state.is_running():
                continue
        if not state.is_paused():
            frame.flow_run.state = state
            raise FlowPauseTimeout(f"Flow run was paused and never resumed within {timeout:g} seconds; it is {state.name} now.")


async def asuspend_flow_run(wait_for_input: Any = None, flow_run_id: UUID | None = None, timeout: int | None = 3600, key: str | None = None) -> Any:
    """Stop a deployed flow run's process until it is resumed: then it is scheduled again and runs from its start, with results that were persisted.

    Without `flow_run_id`: the present run, whose code does not go on after this call. Raises `RuntimeError` in a task, outside runs, for a subflow
    and for a run without a deployment.
    """
    here = current()
    own = here.flow is not None and flow_run_id in (None, here.flow.flow_run.id)
    if own and here.task is not None:
        raise RuntimeError("Cannot suspend task runs: call suspend_flow_run in the flow, not in a task.")
    frame = here.flow if own else None
    if frame is None and flow_run_id is None:
        raise RuntimeError("Flow runs can only be suspended from within a flow run, or by their id: pass flow_run_id.")
    run_id = frame.flow_run.id if frame is not None else flow_run_id
    assert run_id is not None
    pause_key = key or (_next_key(frame) if frame is not None else ids.random_hex())
    proposed = Suspended(timeout_seconds=timeout, pause_key=pause_key)
    input_type = await _asked_for(wait_for_input, proposed, run_id)
    await spool().settle()
    answer = await _propose(run_id, proposed)
    state = answer.state
    if state is None or not state.is_paused():
        if _fired(answer) and frame is not None:
            return await _received(input_type, proposed, run_id)
        raise RuntimeError(f"Flow run cannot be suspended: {_reason(answer)}")
    if frame is None:
        return None
    logs.flow_log(frame.flow_run, frame.flow.name, 20, "Suspending flow run, execution will be rescheduled when this flow run is resumed.")
    frame.flow_run.state = state
    raise Pause("Flow run suspended", state=state)


async def aresume_flow_run(flow_run_id: UUID | str, run_input: dict[str, Any] | None = None) -> None:
    """Let a paused or suspended flow run go on, with its input if it waits for one.

    Raises `NotPausedError` when it is not paused, `FlowPauseTimeout` when its time was over, `ValueError` when the input does not fit.
    """
    from headrace.model.endpoints.flow_runs import RESUME_FLOW_RUN
    from headrace.model.orchestration import ResumeRun, SetStateStatus

    run_id = UUID(str(flow_run_id))
    answer = await current_client().call(RESUME_FLOW_RUN, ResumeRun(run_input=run_input), id=run_id)
    if answer.status is SetStateStatus.ACCEPT:
        return
    reason = _reason(answer)
    if answer.status is SetStateStatus.ABORT:
        raise NotPausedError(f"Cannot resume flow run '{run_id}': it is not paused. {reason}".rstrip())
    if answer.state is not None and answer.state.is_failed():
        raise FlowPauseTimeout(f"Cannot resume flow run '{run_id}': {reason}")
    raise ValueError(f"Cannot resume flow run '{run_id}': {reason}")


async def wait_for_flow_run(
    flow_run_id: UUID | str,
    timeout: float | None = 10800,
    poll_interval: float | None = None,
    client: Client | None = None,
    log_states: bool = False,
) -> FlowRun:
    """Wait until a flow run has ended, and return it. Raises `FlowRunWaitTimeout` after `timeout` seconds (None: never).

    A server tells of each state of it. Where nothing can be told, it is looked at several times a second, or every `poll_interval` seconds if
    that is oftener.
    """
    from headrace.client.news import news_of

    client = client or current_client()
    run_id = UUID(str(flow_run_id))
    deadline = inf if timeout is None else clock.monotonic() + timeout
    seen: UUID | None = None
    pause = POLL_SECONDS_MAX if poll_interval is None else min(poll_interval, POLL_SECONDS_MAX)
    async with news_of(client, run_id) as wait_for_news:
        while True:
            run = await _read(client, run_id)
            if log_states and run.state is not None and run.state.id != seen:
                seen = run.state.id
                logs.get_logger("waiting").info("Flow run %r is in state %s", run.name, run.state)
            if run.state is not None and run.state.is_final():
                return run
            left = deadline - clock.monotonic()
            if left <= 0:
                raise FlowRunWaitTimeout(f"Flow run '{run_id}' did not end within {timeout} seconds; it is {run.state_name} now.")
            await wait_for_news(pause, left)


# --- parts ------------------------------------------------------------------------------------------------------------------------


def _frame(name: str) -> FlowRunContext:
    frame = current().flow
    if frame is None:
        raise RuntimeError(f"{name} can only be called from within a flow run, in the flow or in one of its tasks.")
    return frame


def _next_key(frame: FlowRunContext) -> str:
    frame.pauses += 1
    return str(frame.pauses)


async def _asked_for(wait_for_input: Any, proposed: State, run_id: UUID) -> Any:
    """Return the run-input type to wait for, or None. Its schema is stored before anybody can see the run paused and answer."""
    if wait_for_input is None:
        return None
    from headrace.objects.input_values import adelete_flow_run_input
    from headrace.objects.inputs import keyset_from_paused_state, run_input_subclass_from_type

    input_type = run_input_subclass_from_type(wait_for_input)
    keyset = dict(keyset_from_paused_state(proposed))
    proposed.state_details.run_input_keyset = keyset
    for key in (keyset["schema"], keyset["description"]):  # the same pause of an earlier attempt
        with suppress(ObjectNotFound):
            await adelete_flow_run_input(key, run_id)
    await input_type.asave(keyset, run_id)
    return input_type


async def _received(input_type: Any, proposed: State, run_id: UUID) -> Any:
    return await input_type.aload(proposed.state_details.run_input_keyset, run_id) if input_type is not None else None


async def _already_fired(answer: OrchestrationResult, input_type: Any, proposed: State, run_id: UUID) -> Any:
    if not _fired(answer):
        raise RuntimeError(f"Flow run cannot be paused: {_reason(answer)}")
    return await _received(input_type, proposed, run_id)


def _fired(answer: OrchestrationResult) -> bool:
    return "already fired" in _reason(answer)


def _reason(answer: OrchestrationResult) -> str:
    return getattr(answer.details, "reason", None) or ""


async def _propose(run_id: UUID, state: State) -> OrchestrationResult:
    from headrace.model.endpoints.flow_runs import SET_FLOW_RUN_STATE
    from headrace.model.orchestration import SetState

    proposed = StateCreate(
        id=state.id, type=state.type, name=state.name, message=state.message,
        state_details=state.state_details.model_copy(update={"flow_run_id": run_id, "transition_id": ids.new()}),
    )  # fmt: skip
    return await current_client().call(SET_FLOW_RUN_STATE, SetState(state=proposed), id=run_id)


async def _read(client: Client, run_id: UUID) -> FlowRun:
    from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

    return await client.call(READ_FLOW_RUN, id=run_id)


async def _state(client: Client, run_id: UUID) -> State:
    state = (await _read(client, run_id)).state
    assert state is not None, "a flow run always has a state"
    return state


pause_flow_run = blocking(apause_flow_run)
suspend_flow_run = blocking(asuspend_flow_run)
resume_flow_run = blocking(aresume_flow_run)
