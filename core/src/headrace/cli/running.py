"""Running flows in this process for `headrace run` and `headrace flow-run retry`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import click

from headrace.cli.exits import REFUSED, status_of_run
from headrace.cli.render import emit, fail
from headrace.cli.runs import call

if TYPE_CHECKING:
    from headrace.engine.flow import Flow
    from headrace.engine.flow_run import FlowCall
    from headrace.model.flow_runs import FlowRun
    from headrace.model.states import State


def load(entrypoint: str) -> Flow[..., Any]:
    """Return the flow at an entrypoint. Ends the command when there is none, or when its code raises."""
    from headrace.deploy.loading import load_flow_from_entrypoint
    from headrace.model.errors import MissingFlowError, ScriptError

    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except ScriptError as error:
        raised = error.user_exc
        fail(f"{error.path} could not be imported: {type(raised).__name__}: {raised}", "`headrace --debug run ...` shows the traceback.")
    except (MissingFlowError, FileNotFoundError, ImportError) as error:
        fail(str(error), "Name a flow as path/to/file.py:flow or as package.module:flow.")


def read_parameters(pairs: Sequence[str], document: str | None) -> dict[str, Any]:
    """Return the parameters given on the command line: those of the JSON `document` ("-" reads it from stdin), then `name=value` pairs.

    A value that is JSON is taken as that, any other as text.
    """
    parameters: dict[str, Any] = {}
    if document is not None:
        text = sys.stdin.read() if document == "-" else document
        try:
            read = json.loads(text)
        except json.JSONDecodeError as error:
            raise click.BadParameter(f"--params is no valid JSON: {error}") from error
        if not isinstance(read, dict):
            raise click.BadParameter(f'--params must be a JSON object, as {{"name": 1}}, not a {type(read).__name__}.')
        parameters.update(cast("dict[str, Any]", read))
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} should be NAME=VALUE.")
        try:
            parameters[name] = json.loads(value)
        except json.JSONDecodeError:
            parameters[name] = value
    return parameters


def check_parameters(flow: Flow[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Return all parameters with defaults. Ends the command, before there is a run, when they do not fit the flow."""
    from headrace.model.errors import ParameterTypeError, near

    signature = flow.function.signature.parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.values())
    for name in parameters:
        if name not in signature and not takes_any:
            known = ", ".join(signature) or "none"
            fail(f"Flow {flow.name!r} has no parameter {name!r}. {near(name, signature)}".rstrip(), f"Its parameters: {known}.")
    missing = [
        name
        for name, parameter in signature.items()
        if name not in parameters and parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    if missing:
        fail(f"Flow {flow.name!r} needs {', '.join(missing)}.", f"Give it with --param {missing[0]}=VALUE.")
    bound = flow.bind((), parameters)
    if flow.should_validate_parameters:
        try:
            flow.validate_parameters(bound)
        except ParameterTypeError as error:
            fail(str(error))
    return bound


def run_flow(flow: Flow[..., Any], parameters: dict[str, Any]) -> State:
    """Run a flow and return its final state."""
    from headrace.engine.flow_run import FlowCall

    return _finish(FlowCall(flow, parameters, None))


def retry_flow_run(flow: Flow[..., Any], run: FlowRun) -> State:
    """Run a flow run again, with the parameters it had, and return its final state."""
    from headrace.engine.flow_run import FlowCall
    from headrace.model.endpoints.flow_runs import SET_FLOW_RUN_STATE
    from headrace.model.orchestration import SetState
    from headrace.model.states import StateCreate, StateType

    parameters = check_parameters(flow, dict(run.parameters))
    again = StateCreate(type=StateType.SCHEDULED, name="AwaitingRetry", message="Retried from the command line.")
    call(SET_FLOW_RUN_STATE, SetState(state=again, force=True), id=run.id)
    return _finish(FlowCall(flow, parameters, None, flow_run=run))


def _finish(prepared: FlowCall) -> State:
    from headrace.client.bridge import run_awaitable
    from headrace.engine.flow_run import start_call
    from headrace.engine.generators import exhaust_flow
    from headrace.model.errors import Abort, Pause

    flow = prepared.flow
    try:
        if flow.isgenerator:
            return exhaust_flow(prepared)
        answer = start_call(prepared, return_state=True)
        return run_awaitable(answer) if flow.isasync else answer
    except Pause as paused:
        return paused.state
    except Abort as refused:
        fail(f"The run of flow {flow.name!r} was stopped: {refused}")


def conclude(state: State, output: str | None) -> int:
    """Tell how a run ended and where to look, and return the status to exit with."""
    from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

    run_id: UUID | None = state.state_details.flow_run_id
    if run_id is None:
        return REFUSED
    if output is not None:
        emit(call(READ_FLOW_RUN, id=run_id), output)
    else:
        click.echo(f"Look at it with `headrace flow-run inspect {run_id}` and `headrace flow-run logs {run_id}`.", err=True)
    return status_of_run(state.type)
