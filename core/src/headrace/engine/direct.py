"""The documented doors for those who bring a run of their own: `run_flow` and `run_task`, as workers and runners use them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from functools import partial
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from headrace.client.bridge import blocking
from headrace.client.connect import current_client
from headrace.engine.context import hydrated_context
from headrace.engine.dependencies import listed
from headrace.engine.flow_run import FlowCall
from headrace.engine.flow_run import start_call as start_flow
from headrace.engine.task_run import TaskCall
from headrace.engine.task_run import start_call as start_task
from headrace.model.clock import to_us
from headrace.model.errors import SignatureMismatchError, near

if TYPE_CHECKING:
    from headrace.data.functions import UserFunction
    from headrace.engine.flow import Flow
    from headrace.engine.task import Task
    from headrace.model.flow_runs import FlowRun
    from headrace.model.task_runs import TaskRun

ReturnType = Literal["state", "result"]
Context = dict[str, Any]


async def aload_flow_run(flow_run_id: UUID) -> FlowRun:
    """Return a flow run as it is stored. Raises `ObjectNotFound`."""
    from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

    return await current_client().call(READ_FLOW_RUN, id=flow_run_id)


load_flow_run = blocking(aload_flow_run)


def run_flow(
    flow: Flow[..., Any],
    flow_run: FlowRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Iterable[Any] | None = None,
    return_type: ReturnType = "result",
    context: Context | None = None,
) -> Any:
    """Run a flow with parameters by name, as the run `flow_run` where one exists. An async flow gives a coroutine, a generator iterates.

    `parameters`: default those of `flow_run`, else none; the flow's defaults fill the rest. `return_type`: "result" returns the value or raises,
    "state" returns the final state. `context`: a mapping made by `serialize_context`, to run as part of those runs.

    Raises `SignatureMismatchError` for a parameter that the flow does not have, `ParameterBindError` for one that is missing, `Abort` when the
    orchestrator stops the run.
    """
    if flow.isgenerator:
        run = run_generator_flow_async if flow.isasync else run_generator_flow_sync
    else:
        run = run_flow_async if flow.isasync else run_flow_sync
    return run(flow, flow_run, parameters, wait_for, return_type, context)


def run_flow_sync(
    flow: Flow[..., Any],
    flow_run: FlowRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Iterable[Any] | None = None,
    return_type: ReturnType = "result",
    context: Context | None = None,
) -> Any:
    """Run a blocking flow; see `run_flow`."""
    with hydrated_context(context):
        return start_flow(_flow_call(flow, flow_run, parameters, wait_for), return_type == "state")


async def run_flow_async(
    flow: Flow[..., Any],
    flow_run: FlowRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Iterable[Any] | None = None,
    return_type: ReturnType = "result",
    context: Context | None = None,
) -> Any:
    """Run an async flow; see `run_flow`."""
    with hydrated_context(context):
        return await start_flow(_flow_call(flow, flow_run, parameters, wait_for), return_type == "state")


def run_generator_flow_sync(
    flow: Flow[..., Any],
    flow_run: FlowRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Iterable[Any] | None = None,
    return_type: ReturnType = "result",
    context: Context | None = None,
) -> Generator[Any, None, None]:
    """Iterate a generator flow; see `run_flow`. Raises `ValueError` for `return_type="state"`."""
    return _iterated(start_flow, partial(_flow_call, flow, flow_run, parameters, wait_for), return_type, context)


def run_generator_flow_async(
    flow: Flow[..., Any],
    flow_run: FlowRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Iterable[Any] | None = None,
    return_type: ReturnType = "result",
    context: Context | None = None,
) -> AsyncGenerator[Any, None]:
    """Iterate an async generator flow; see `run_flow`. Raises `ValueError` for `return_type="state"`."""
    return _iterated(start_flow, partial(_flow_call, flow, flow_run, parameters, wait_for), return_type, context, later=True)


def _flow_call(flow: Flow[..., Any], flow_run: FlowRun | None, parameters: Mapping[str, Any] | None, wait_for: Iterable[Any] | None) -> FlowCall:
    if parameters is None:
        parameters = flow_run.parameters if flow_run is not None else {}
    args, kwargs = _arguments(flow.function, flow.name, parameters)
    return FlowCall(flow, flow.bind(args, kwargs), listed(wait_for), flow_run)


def _arguments(function: UserFunction, name: str, parameters: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    known = function.signature.parameters
    rest = next((one.name for one in known.values() if one.kind is Parameter.VAR_KEYWORD), None)
    unknown = sorted(parameters.keys() - known.keys())
    if unknown and rest is None:
        raise SignatureMismatchError(
            f"Function {name!r} expects the parameters {', '.join(known) or 'none'}, but was given {', '.join(map(repr, unknown))} too. "
            f"{near(unknown[0], known)}".rstrip()
        )
    values = {one: parameters[one] for one in known if one in parameters}
    if rest is not None:
        values[rest] = {**values.get(rest, {}), **{one: parameters[one] for one in unknown}}
    return function.unbind(values)


def run_task(
    task: Task[..., Any],
    task_run_id: UUID | None = None,
    task_run: TaskRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Any = None,
    return_type: ReturnType = "result",
    dependencies: Mapping[str, Iterable[Any]] | None = None,
    context: Context | None = None,
) -> Any:
    """Run a task with parameters by name. An async task gives a coroutine, a generator iterates.

    `task_run_id`: the id that the run gets; `task_run`: a run that exists, which goes on. `dependencies`: where parameters came from, by name, when
    their futures were resolved elsewhere. `return_type` and `context` as for `run_flow`.
    """
    if task.isgenerator:
        run = run_generator_task_async if task.isasync else run_generator_task_sync
    else:
        run = run_task_async if task.isasync else run_task_sync
    return run(task, task_run_id, task_run, parameters, wait_for, return_type, dependencies, context)


def run_task_sync(
    task: Task[..., Any],
    task_run_id: UUID | None = None,
    task_run: TaskRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Any = None,
    return_type: ReturnType = "result",
    dependencies: Mapping[str, Iterable[Any]] | None = None,
    context: Context | None = None,
) -> Any:
    """Run a blocking task; see `run_task`."""
    with hydrated_context(context):
        return start_task(_task_call(task, task_run_id, task_run, parameters, wait_for, dependencies), return_type == "state")


async def run_task_async(
    task: Task[..., Any],
    task_run_id: UUID | None = None,
    task_run: TaskRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Any = None,
    return_type: ReturnType = "result",
    dependencies: Mapping[str, Iterable[Any]] | None = None,
    context: Context | None = None,
) -> Any:
    """Run an async task; see `run_task`."""
    with hydrated_context(context):
        return await start_task(_task_call(task, task_run_id, task_run, parameters, wait_for, dependencies), return_type == "state")


def run_generator_task_sync(
    task: Task[..., Any],
    task_run_id: UUID | None = None,
    task_run: TaskRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Any = None,
    return_type: ReturnType = "result",
    dependencies: Mapping[str, Iterable[Any]] | None = None,
    context: Context | None = None,
) -> Generator[Any, None, None]:
    """Iterate a generator task; see `run_task`. Raises `ValueError` for `return_type="state"`."""
    return _iterated(start_task, partial(_task_call, task, task_run_id, task_run, parameters, wait_for, dependencies), return_type, context)


def run_generator_task_async(
    task: Task[..., Any],
    task_run_id: UUID | None = None,
    task_run: TaskRun | None = None,
    parameters: Mapping[str, Any] | None = None,
    wait_for: Any = None,
    return_type: ReturnType = "result",
    dependencies: Mapping[str, Iterable[Any]] | None = None,
    context: Context | None = None,
) -> AsyncGenerator[Any, None]:
    """Iterate an async generator task; see `run_task`. Raises `ValueError` for `return_type="state"`."""
    call = partial(_task_call, task, task_run_id, task_run, parameters, wait_for, dependencies)
    return _iterated(start_task, call, return_type, context, later=True)


def _task_call(
    task: Task[..., Any],
    task_run_id: UUID | None,
    task_run: TaskRun | None,
    parameters: Mapping[str, Any] | None,
    wait_for: Any,
    dependencies: Mapping[str, Iterable[Any]] | None,
) -> TaskCall:
    args, kwargs = _arguments(task.function, task.name, parameters or {})
    upstream = listed(wait_for)
    run_id = task_run.id if task_run is not None else task_run_id
    call = TaskCall(task, task.bind(args, kwargs), upstream, dict(dependencies) if dependencies else None, run_id)
    if task_run is not None:
        record = call.record
        record.name, record.dynamic_key, record.run_count = task_run.name, task_run.dynamic_key, task_run.run_count
        record.tags = record.tags.union(task_run.tags)
        record.flow_run_id = task_run.flow_run_id
    return call


def background_call(task: Task[..., Any], task_run: TaskRun, parameters: Mapping[str, Any], wait_for: Any) -> TaskCall:
    """Return the call that goes on with a run which was submitted elsewhere; the present context is that of the submitter."""
    call = _task_call(task, None, task_run, parameters, wait_for, task_run.task_inputs)
    call.record.labels = task_run.labels
    if task_run.expected_start_time is not None:
        call.record.expected_start_time = to_us(task_run.expected_start_time)
    return call


def _iterated(start: Any, call: Callable[[], Any], return_type: ReturnType, context: Context | None, later: bool = False) -> Any:
    def iterate() -> Any:
        return start(call(), return_type == "state")

    if context is None:
        return iterate()
    return _in_context_later(iterate, context) if later else _in_context(iterate, context)


def _in_context(iterate: Callable[[], Generator[Any, None, None]], context: Context) -> Generator[Any, None, None]:
    with hydrated_context(context):
        yield from iterate()


async def _in_context_later(iterate: Callable[[], AsyncGenerator[Any, None]], context: Context) -> AsyncGenerator[Any, None]:
    with hydrated_context(context):
        async for value in iterate():
            yield value
