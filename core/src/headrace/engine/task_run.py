"""One task run, from its arguments to its final state. The order of things is the order of the lines in `run_task`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from headrace.client import bridge
from headrace.client.bridge import drive
from headrace.client.recording import spool
from headrace.data.functions import RunNameError, make_run_name
from headrace.data.task_record import TaskRecord
from headrace.engine import logs
from headrace.engine.context import RunContext, TaskRunContext, current, enter, leave
from headrace.engine.dependencies import check_wait_for, is_plain, listed, remember_origin, resolve_parameters, wait_for_upstream
from headrace.engine.final_states import crash_message, result_of_record
from headrace.engine.hooks import run_hooks
from headrace.engine.outcome import Outcome, attempt
from headrace.engine.persistence import settle
from headrace.engine.ports import ASYNC, BLOCKING, Ports
from headrace.engine.retries import next_delay
from headrace.engine.startup import start_once
from headrace.model import clock
from headrace.model.errors import ConcurrencySlotAcquisitionError, StoreError, UpstreamTaskError

if TYPE_CHECKING:
    from uuid import UUID

    from headrace.engine.context import FlowRunContext
    from headrace.engine.task import Task

ERROR, INFO, WARNING = 40, 20, 30


class TaskCall:
    """One call of a task: what is asked for, and the record of the run that it makes."""

    __slots__ = ("context", "dependencies", "enclosing", "frame", "not_ready", "parameters", "record", "task", "wait_for")

    def __init__(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: list[Any] | None,
        dependencies: dict[str, Any] | None = None,
        task_run_id: UUID | None = None,
    ) -> None:
        here = current()
        frame = here.flow
        self.task = task
        self.parameters = parameters
        self.wait_for = wait_for
        self.dependencies = dependencies
        self.frame: FlowRunContext | None = frame
        self.enclosing = here.task
        self.context: TaskRunContext | None = None
        self.not_ready: UpstreamTaskError | None = None
        key = task.task_key
        if frame is None:
            number, dynamic_key = 0, task_run_id.hex if task_run_id is not None else "0"
        else:
            number = frame.next_ordinal(key)
            dynamic_key = str(number) if frame.attempt == 1 else f"{number}-{frame.attempt}"
        self.record = TaskRecord(
            id_text=str(task_run_id) if task_run_id is not None else None,
            flow_run_id=frame.flow_run.id if frame is not None else None,
            name=f"{task.name}-{number}",
            task_key=key,
            dynamic_key=dynamic_key,
            tags=here.tags.union(task.tags) if task.tags else here.tags,
            retries=task.retries,
            retry_delay=task.retry_delay_seconds,
            retry_jitter_factor=task.retry_jitter_factor,
            flow_run_run_count=frame.attempt if frame is not None else 0,
        )
        if frame is None:
            self.record.dynamic_key = self.record.id_text

    @classmethod
    def taken_over(cls, task: Task[..., Any], parameters: dict[str, Any], record: TaskRecord) -> TaskCall:
        """Return the call of a run that another process prepared: its parameters are resolved, its record goes on."""
        call = cls.__new__(cls)
        here = current()
        call.task, call.parameters, call.record = task, parameters, record
        call.wait_for = call.dependencies = call.not_ready = call.context = None
        call.frame, call.enclosing = here.flow, here.task
        return call

    def announce(self) -> None:
        """Enter Pending; if the run does not start soon, it can be seen waiting."""
        self.record.enter("PENDING", "Pending")
        spool().open(self.record)


def call_task(task: Task[..., Any], parameters: dict[str, Any], wait_for: Iterable[Any] | None, return_state: bool) -> Any:
    """Run a task for a caller who waits: in this thread, or as a coroutine for an async task."""
    return start_call(TaskCall(task, parameters, listed(wait_for)), return_state)


def start_call(call: TaskCall, return_state: bool) -> Any:
    """Run a prepared call and answer its caller."""
    if call.task.isgenerator:
        from headrace.engine.generators import iterate_task

        return iterate_task(call, return_state)
    if call.task.isasync:
        return bridge.named(_call_async(call, return_state), f"task {call.task.name}")
    drive(run_task(call, BLOCKING))
    return answer(call, return_state)


async def _call_async(call: TaskCall, return_state: bool) -> Any:
    token = bridge.mode.set("async")
    try:
        await run_task(call, ASYNC)
    finally:
        bridge.mode.reset(token)
    return answer(call, return_state)


def answer(call: TaskCall, return_state: bool) -> Any:
    """Return what the caller asked for: the value (or its exception, raised) or the final state."""
    if return_state:
        return call.record.state()
    if call.not_ready is not None:
        raise call.not_ready
    return result_of_record(call.record, raise_on_failure=True)


def run_submitted(call: TaskCall) -> None:
    """Run a submitted task in this thread, an async one on a loop of its own. What it raises is in the record."""
    import contextlib

    with contextlib.suppress(BaseException):  # a worker thread's border: the record says what happened, the caller reads it there
        if call.task.isgenerator:
            from headrace.engine.generators import collect_task

            collect_task(call)
        elif call.task.isasync:
            import asyncio

            asyncio.run(_call_async(call, return_state=True))
        else:
            drive(run_task(call, BLOCKING))


async def run_task(call: TaskCall, ports: Ports) -> None:
    """Run the task; its record holds the outcome. Raises only what must pass through: signals, interrupts and broken storage."""
    record = call.record
    if call.frame is None:
        await start_once(ports)
    outbox = spool()
    if not record.states:
        call.announce()
    entered = None
    lease = None
    try:
        if not await prepare(call, ports):
            return
        here = current()
        entered = enter(RunContext(here.flow, call.context, here.tags))
        if record.tags:
            from headrace.objects import slots

            lease = await slots.acquire_task_slots(record.tags, record.id)
        await _attempts(call, ports)
    except StoreError:
        raise  # it cannot be recorded; the next process that can write marks the run
    except BaseException as error:
        crash(call, error)
        raise
    finally:
        if lease is not None:
            from headrace.objects import slots

            await slots.release(lease)
        if entered is not None:
            leave(entered)
        outbox.close_record(record)


async def prepare(call: TaskCall, ports: Ports) -> bool:
    """Resolve what the run depends on, name it and make its context. Says whether it can start."""
    record, task, frame = call.record, call.task, call.frame
    parameters = call.parameters
    if call.wait_for or not is_plain(parameters):
        try:
            await wait_for_upstream(parameters, call.wait_for, ports, record)
            sources = check_wait_for(call.wait_for)
            parameters, record.task_inputs = resolve_parameters(parameters, frame)
        except UpstreamTaskError as error:
            call.not_ready = error
            record.enter("PENDING", "NotReady", str(error))
            _log(call, WARNING, "Task run %r is not ready: %s", record.name, error)
            return False
        if call.wait_for:
            record.task_inputs["wait_for"] = sources
    else:
        record.task_inputs = record.task_inputs or {name: [] for name in parameters}
    if call.enclosing is not None:
        record.task_inputs["__parents__"] = [{"input_type": "task_run", "id": call.enclosing.record.id_text}]
    if call.dependencies:
        record.task_inputs.update({name: _as_inputs(given) for name, given in call.dependencies.items()})
    call.parameters = parameters
    if task.task_run_name is not None:
        try:
            record.name = make_run_name(task.task_run_name, parameters, "task_run_name")
        except RunNameError as error:
            record.enter("FAILED", "Failed", str(error), data=error.__cause__)
            _log(call, ERROR, "%s", error)
            return False
    inherited = call.enclosing.log_prints if call.enclosing is not None else frame.log_prints if frame is not None else None
    call.context = TaskRunContext(
        task, record, parameters, clock.now(), log_prints=_first(task.log_prints, inherited, _log_prints_by_default), persist_result=False
    )
    return True


def _as_inputs(given: Iterable[Any]) -> list[dict[str, Any]]:
    return [one if isinstance(one, dict) else one.model_dump(mode="json") for one in given]


def _first(own: bool | None, inherited: bool | None, default: Any) -> bool:
    return own if own is not None else inherited if inherited is not None else default()


def _log_prints_by_default() -> bool:
    from headrace.settings import get_current_settings

    return get_current_settings().logging.log_prints


async def _attempts(call: TaskCall, ports: Ports) -> None:
    """Try until an attempt is not to be tried again; leave the final state in the record."""
    record, task = call.record, call.task
    name = "Running"
    while True:
        record.enter("RUNNING", name)
        if task.on_running_hooks:
            await run_hooks(task.on_running_hooks, lambda: (task, record.model(), record.state()), call.frame, record, ports)
        outcome = await attempt(call, ports)
        if outcome.kind == "FAILED":
            delay = await next_delay(call, outcome, ports)
            if delay is not None:
                name = "Retrying"
                if outcome.transaction is not None:
                    await outcome.transaction.discard()
                await _wait_to_retry(call, outcome, delay, ports)
                continue
        if outcome.transaction is not None:
            await settle(call, outcome)
        await conclude(call, outcome, ports)
        return


async def _wait_to_retry(call: TaskCall, outcome: Outcome, delay: float, ports: Ports) -> None:
    record = call.record
    left = record.retries - record.run_count + 1
    if delay <= 0:
        _log(call, INFO, "%s - Retry %d/%d will start immediately", outcome.message, record.run_count, record.retries, exc_info=outcome.error)
        return
    at = clock.now_us() + int(delay * 1_000_000)
    record.enter("SCHEDULED", "AwaitingRetry", outcome.message, details={"scheduled_time": clock.from_us(at).isoformat()})
    spool().open(record)
    _log(
        call, INFO, "%s - Retry %d/%d will start %.3g second(s) from now", outcome.message, record.retries - left + 1, record.retries, delay,
        exc_info=outcome.error,
    )  # fmt: skip
    await ports.sleep(delay)


async def conclude(call: TaskCall, outcome: Outcome, ports: Ports) -> None:
    """Enter the final state, run its hooks, and say so in the log."""
    record, task, frame = call.record, call.task, call.frame
    record.enter(outcome.kind, outcome.name, outcome.message, outcome.metadata, outcome.details, data=outcome.data)
    if frame is not None and outcome.kind == "COMPLETED":
        remember_origin(outcome.value, record, frame)
    if task.asset_deps or "headrace.engine.materialize" in sys.modules:  # no task can materialize before that module was imported
        from headrace.engine.assets import follow

        follow(call, outcome)
    hooks = task.on_completion_hooks if outcome.kind == "COMPLETED" else task.on_failure_hooks if outcome.kind == "FAILED" else ()
    if hooks:
        await run_hooks(hooks, lambda: (task, record.model(), record.state()), frame, record, ports)
    if outcome.kind == "COMPLETED":
        # The state row says the same, so this line is for the console alone.
        _log(call, INFO, "Finished in state %s()", outcome.name, send_to_api=False)
    else:
        _log(call, ERROR, "%s", outcome.message or outcome.name, exc_info=outcome.error)
        _log(call, ERROR, "Finished in state %s(%r)", outcome.name, outcome.message)


def crash(call: TaskCall, error: BaseException) -> None:
    """Say that something outside the task's code stopped it. Does nothing when the run has ended."""
    record = call.record
    if record.is_final:
        return
    expected = isinstance(error, (ValueError, TypeError, KeyError, ConcurrencySlotAcquisitionError)) and not record.run_count
    if expected:  # wrong options or dependencies, found before the body ran: the caller's mistake, not a crash
        record.enter("FAILED", "Failed", f"{type(error).__name__}: {error}", data=error)
    else:
        record.enter("CRASHED", "Crashed", crash_message(error), data=error)
    _log(call, ERROR, "%s", record.states[-1][4])


def _log(call: TaskCall, level: int, message: str, *values: Any, exc_info: BaseException | None = None, send_to_api: bool = True) -> None:
    frame = call.frame
    flow_run, flow_name = (frame.flow_run, frame.flow.name) if frame is not None else (None, None)
    logs.task_log(call.record, flow_run, flow_name, level, message, *values, exc_info=exc_info, send_to_api=send_to_api)
