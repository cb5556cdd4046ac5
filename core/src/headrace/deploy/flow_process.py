"""A flow run in a process of its own, and the flow that belongs to a flow run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.data import pickling
from headrace.deploy.loading import load_flow_from_entrypoint
from headrace.engine.context import hydrated_context, serialize_context
from headrace.engine.direct import load_flow_run, run_flow
from headrace.engine.futures import resolve_futures_to_states
from headrace.model.errors import Abort, MissingFlowError, Pause, SerializationError
from headrace.settings.environment import internal_name, internal_variable

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from headrace.engine.flow import Flow
    from headrace.engine.futures import HeadraceFuture
    from headrace.model.flow_runs import FlowRun

ENTRYPOINT = "FLOW_ENTRYPOINT"


def run_flow_in_subprocess(
    flow: Flow[..., Any],
    flow_run: FlowRun | None = None,
    parameters: dict[str, Any] | None = None,
    wait_for: Iterable[HeadraceFuture[Any]] | None = None,
    context: dict[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> SpawnProcess:
    """Start a run of `flow` in a new process and return it; `process.join()` waits, `process.exitcode` is 0 unless the run failed.

    `context`: what `serialize_context` gave, to run in; default: the present context. `env`: environment variables for the child alone. The
    result can be read only if the flow persists it. Raises `SerializationError` when the flow or its parameters cannot be pickled.
    """
    import multiprocessing

    resolve_futures_to_states(list(wait_for or ()))  # waits for them here: they cannot travel
    call = (flow, flow_run, parameters, serialize_context() if context is None else context)
    try:
        payload: bytes = pickling.dumps(call)
    except Exception as error:
        raise SerializationError(
            f"The flow {flow.name!r} or its parameters cannot be pickled to be sent to another process: {type(error).__name__}: {error}. "
            "Pass data that can be pickled."
        ) from error
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(payload, dict(env or {})), name=f"headrace-flow-{flow.name}")
    process.start()
    return process


def _run(payload: bytes, env: dict[str, str]) -> None:
    """Run the flow in the child. A run that was told to stop or to pause ends its process well."""
    import asyncio
    from inspect import isawaitable

    from headrace.settings import refresh_global_settings_context, temporary_settings

    os.environ.update(env)
    refresh_global_settings_context()
    flow, flow_run, parameters, context = pickling.loads(payload)
    settings: dict[str, Any] = {name: value for name, value in context.get("settings_context", {}).items() if name not in env}
    with temporary_settings(settings), hydrated_context(context):
        try:
            value = run_flow(flow, flow_run=flow_run, parameters=parameters)
            if isawaitable(value):
                asyncio.run(_finished(value))
        except (Abort, Pause):
            return


async def _finished(value: Any) -> Any:
    return await value


def load_flow(flow_run: FlowRun) -> Flow[..., Any]:
    """Return the flow that a flow run belongs to, from the entrypoint that `HEADRACE__FLOW_ENTRYPOINT` names.

    Raises `MissingFlowError` when it is not set.
    """
    entrypoint = internal_variable(ENTRYPOINT)
    if entrypoint is None:
        raise MissingFlowError(
            f"Nothing says where the flow of flow run {flow_run.name!r} is. Set {internal_name(ENTRYPOINT)} to it, as path/to/file.py:flow."
        )
    return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)


def load_flow_and_flow_run(flow_run_id: UUID) -> tuple[FlowRun, Flow[..., Any]]:
    """Return a flow run and its flow; see `load_flow`. Raises `ObjectNotFound` for an unknown id."""
    flow_run = load_flow_run(flow_run_id)
    return flow_run, load_flow(flow_run)
