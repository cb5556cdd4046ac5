"""Tasks and flows that are generators: every step of a run but the middle one is shared with `task_run` and `flow_run`.

The run is Running while it is iterated; it completes when it is exhausted or closed early, and fails when it raises.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from headrace.client import bridge
from headrace.client.bridge import drive, drive_iter
from headrace.client.recording import spool
from headrace.engine.context import FlowRunContext, RunContext, current, enter, leave
from headrace.engine.dependencies import remember_origin
from headrace.engine.hooks import run_hooks
from headrace.engine.outcome import Outcome, failed
from headrace.engine.ports import ASYNC, BLOCKING, Ports
from headrace.engine.prints import redirected
from headrace.engine.retries import next_delay

if TYPE_CHECKING:
    from headrace.engine.flow_run import FlowCall
    from headrace.engine.task_run import TaskCall
    from headrace.model.states import State

END: Any = object()

Step = Callable[[], Coroutine[Any, Any, Any]]


def _refuse_state(kind: str, name: str) -> None:
    raise ValueError(
        f"The {kind} {name!r} is a generator, so there is no final state before it is exhausted: `return_state=True` cannot be used with it."
    )


def iterate_task(call: TaskCall, return_state: bool) -> Any:
    """Return an iterator (an async one for an async task) over the values of one run, which begins with the first value."""
    if return_state:
        _refuse_state("task", call.task.name)
    return _iterate_task(call, ASYNC) if call.task.isasync else drive_iter(_iterate_task(call, BLOCKING))


def collect_task(call: TaskCall) -> None:
    """Run a submitted generator task to its end; its value is the list of what it yielded."""

    async def collect(ports: Ports) -> list[Any]:
        return [value async for value in _iterate_task(call, ports)]

    if call.task.isasync:
        import asyncio

        values = asyncio.run(collect(ASYNC))
    else:
        values = drive(collect(BLOCKING))
    if call.record.states[-1][1] == "COMPLETED":
        call.record.data = values


async def _iterate_task(call: TaskCall, ports: Ports) -> AsyncGenerator[Any, None]:
    from headrace.engine.task_run import conclude, crash, prepare

    record, task = call.record, call.task
    if not record.states:
        call.announce()
    try:
        if not await prepare(call, ports):
            if call.not_ready is not None:
                raise call.not_ready
            raise call.record.data
        assert call.context is not None
        here = current()
        inside = _Inside(RunContext(here.flow, call.context, here.tags), ports.mode, call.context.log_prints)
        name = "Running"
        while True:
            record.enter("RUNNING", name)
            spool().open(record)
            if task.on_running_hooks:
                await run_hooks(task.on_running_hooks, lambda: (task, record.model(), record.state()), call.frame, record, ports)
            outcome = Outcome("COMPLETED", "Completed")
            args, kwargs = task.function.unbind(call.parameters)
            values = inside.first(lambda args=args, kwargs=kwargs: task.fn(*args, **kwargs))
            try:
                while (value := await inside.step(values)) is not END:
                    if call.frame is not None:
                        remember_origin(value, record, call.frame)
                    yield value
            except GeneratorExit:
                await inside.close(values)
                await conclude(call, outcome, ports)
                raise
            except Exception as error:  # noqa: BLE001  # the border to the user's code: what it raises becomes the run's state
                outcome = failed(error)
                delay = await next_delay(call, outcome, ports)
                if delay is not None:
                    name = "Retrying"
                    await ports.sleep(delay)
                    continue
            await conclude(call, outcome, ports)
            if outcome.error is not None:
                raise outcome.error
            return
    except (GeneratorExit, Exception):
        raise
    except BaseException as error:
        crash(call, error)
        raise
    finally:
        spool().close_record(record)


class _Inside:
    """Steps through a user's generator within its run's context, which is left again before each value is handed out."""

    def __init__(self, context: RunContext, mode: bridge.Mode, log_prints: bool) -> None:
        self.context = context
        self.mode: bridge.Mode = mode
        self.log_prints = log_prints

    def first(self, make: Callable[[], Any]) -> Any:
        """Call the generator function."""
        entered = enter(self.context)
        try:
            return make()
        finally:
            leave(entered)

    async def step(self, values: Any) -> Any:
        """Return the next value, or `END`."""
        entered = enter(self.context)
        token = bridge.mode.set(self.mode)
        try:
            with redirected(self.log_prints):
                return await anext(values, END) if hasattr(values, "__anext__") else next(values, END)
        finally:
            bridge.mode.reset(token)
            leave(entered)

    async def close(self, values: Any) -> None:
        """Close the user's generator early."""
        entered = enter(self.context)
        try:
            if hasattr(values, "aclose"):
                await values.aclose()
            else:
                values.close()
        finally:
            leave(entered)


def iterate_flow(call: FlowCall, return_state: bool) -> Any:
    """Return an iterator (an async one for an async flow) over the values of one run, which begins with the first value."""
    if return_state:
        _refuse_state("flow", call.flow.name)
    return _iterate_flow(call, ASYNC) if call.flow.isasync else drive_iter(_iterate_flow(call, BLOCKING))


def exhaust_flow(call: FlowCall) -> State:
    """Run a prepared call of a generator flow to its end, dropping what it yields, and return the final state."""

    async def exhaust(ports: Ports) -> None:
        try:
            async for _ in _iterate_flow(call, ports):
                pass
        except Exception:
            if call.outcome is None or call.outcome.error is None:
                raise  # no failure of the user's code, which the state tells

    if call.flow.isasync:
        bridge.run_awaitable(exhaust(ASYNC))
    else:
        drive(exhaust(BLOCKING))
    return call.record.state


async def _iterate_flow(call: FlowCall, ports: Ports) -> AsyncGenerator[Any, None]:
    from headrace.engine.flow_run import close, crash, finish, open_frame, prepare, wait_for_submitted

    record = call.record
    broken: BaseException | None = None
    try:
        refused = await prepare(call, ports)
        if refused is not None:
            if call.outcome is not None and call.outcome.error is not None:
                raise call.outcome.error
            return
        while True:
            await record.begin(ports)
            frame = open_frame(call)
            outcome = call.outcome = Outcome("COMPLETED", "Completed")
            with frame.task_runner:
                values = _flow_values(call, frame, ports)
                try:
                    async for value in values:
                        yield value
                except GeneratorExit:
                    await values.aclose()
                    await wait_for_submitted(frame, ports)
                    await finish(call, outcome, ports)
                    raise
                except Exception as error:  # noqa: BLE001  # the border to the user's code: what it raises becomes the run's state
                    outcome = call.outcome = failed(error, "Flow")
                await wait_for_submitted(frame, ports)
            if await finish(call, outcome, ports) is None:
                continue
            if outcome.error is not None:
                raise outcome.error
            return
    except BaseException as error:
        broken = error
        if not isinstance(error, (GeneratorExit, Exception)):
            await crash(call, error, ports)
        raise
    finally:
        await close(call, broken)


async def _flow_values(call: FlowCall, frame: FlowRunContext, ports: Ports) -> AsyncGenerator[Any, None]:
    flow = call.flow
    inside = _Inside(RunContext(frame, None, call.enclosing.tags), ports.mode, frame.log_prints)
    if flow.on_running_hooks:
        await run_hooks(flow.on_running_hooks, lambda: (flow, call.record.run, call.record.state), frame, None, ports)
    args, kwargs = flow.function.unbind(call.parameters)
    values = inside.first(lambda: flow.fn(*args, **kwargs))
    try:
        while (value := await inside.step(values)) is not END:
            yield value
    except GeneratorExit:
        await inside.close(values)
        raise
