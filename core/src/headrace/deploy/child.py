"""What a process does that was started for one flow run: find the run and its flow, run it, and tell the server if that cannot be."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from contextlib import suppress
from inspect import isasyncgen, isawaitable, isgenerator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.recording import spool
from headrace.deploy.flow_process import ENTRYPOINT
from headrace.deploy.loading import load_flow_from_entrypoint
from headrace.engine import logs
from headrace.engine.direct import load_flow_run, run_flow
from headrace.engine.hooks import run_hooks
from headrace.engine.ports import ASYNC, BLOCKING
from headrace.model import ids
from headrace.model.errors import Abort, HeadraceException, MissingFlowError, ObjectNotFound, Pause, ScriptError
from headrace.model.states import Crashed
from headrace.settings.environment import internal_name, internal_variable

if TYPE_CHECKING:
    from headrace.engine.flow import Flow
    from headrace.model.deployments import Deployment
    from headrace.model.flow_runs import FlowRun
    from headrace.model.states import State

FLOW_RUN_ID = "FLOW_RUN_ID"
STORAGE_BASE_PATH = "STORAGE_BASE_PATH"
LIFELINE = "LIFELINE"
HOOKS_ONLY = "HOOKS_ONLY"
CLAIM = "CLAIM"
"""The id of the state by which a worker or runner took the run."""

logger = logging.getLogger("headrace.engine")


def run_flow_run_of_environment() -> int:
    """Run the flow run that `HEADRACE__FLOW_RUN_ID` (or the first argument) names, and return the status to exit with.

    The flow is read from the entrypoint in `HEADRACE__FLOW_ENTRYPOINT`, else from the run's deployment, whose pull steps are run first. 0 when the
    run's end was reported, whatever it was; 1 when the run or its flow cannot be found, 2 when nothing says which run it is.
    """
    _hold_output()
    text = internal_variable(FLOW_RUN_ID) or (sys.argv[1] if len(sys.argv) > 1 else "")
    try:
        run_id = UUID(text)
    except ValueError:
        print(f"Nothing says which flow run to run: {internal_name(FLOW_RUN_ID)} is {text!r}. Set it to the id of one.", file=sys.stderr)  # noqa: T201
        return 2
    logs.setup()
    _note_claim(run_id)
    try:
        run = load_flow_run(run_id)
    except ObjectNotFound as error:
        logger.error("%s", error)
        return 1
    if internal_variable(HOOKS_ONLY):
        return _run_hooks_of(run)
    if run.state is not None and (run.state.is_final() or run.state.is_cancelling()):
        logger.info("Flow run %r is not run: it is in the state %s.", run.name, run.state)
        return 0
    try:
        flow = flow_of(run)
    except BaseException as error:
        _report_unloadable(run, error)
        if not isinstance(error, Exception | SystemExit):
            raise
        return 1
    _run(flow, run)
    return 0


def _note_claim(run_id: UUID) -> None:
    """Have every word about the run name the claim that this process was started for, so that it comes too late for a run taken again since."""
    claims: dict[UUID, UUID] | None = getattr(current_client(), "claims", None)
    text = internal_variable(CLAIM)
    if claims is not None and text:
        with suppress(ValueError):
            claims[run_id] = UUID(text)


def _run(flow: Flow[..., Any], run: FlowRun) -> None:
    # What the flow raises is in the run's state and its log.
    try:
        if flow.isgenerator:
            _exhaust(run_flow(flow, flow_run=run))
            return
        state = run_flow(flow, flow_run=run, return_type="state")
        if isawaitable(state):
            asyncio.run(_awaited(state))
    except (Abort, Pause) as told:
        logger.info("Flow run %r goes no further here: %s", run.name, told)
    except Exception as error:
        now = load_flow_run(run.id)
        if now.state is None or not now.state.is_final():
            _end_as_crashed(now, f"The flow run could not be run: {type(error).__name__}: {error}")
            raise


async def _awaited(value: Any) -> Any:
    return await value


def _exhaust(values: Any) -> None:
    async def all_of() -> None:
        async for _ in values:
            pass

    if isgenerator(values):
        for _ in cast("Any", values):
            pass
    elif isasyncgen(values):
        asyncio.run(all_of())


# --- finding the flow -------------------------------------------------------------------------------------------------------


def flow_of(run: FlowRun) -> Flow[..., Any]:
    """Return the flow of a run: from the entrypoint that the environment names, else from its deployment. Raises what loading it raises."""
    entrypoint = internal_variable(ENTRYPOINT)
    if entrypoint is not None:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    return drive(aload_flow_from_flow_run(None, run, storage_base_path=internal_variable(STORAGE_BASE_PATH), use_placeholder_flow=False))


async def aload_flow_from_flow_run(
    client: Any,
    flow_run: FlowRun,
    ignore_storage: bool = False,
    storage_base_path: str | None = None,
    use_placeholder_flow: bool = True,
) -> Flow[..., Any]:
    """Return the flow of a run's deployment, once the deployment's pull steps have brought its code here.

    `ignore_storage`: the code is here already. `storage_base_path`: what `$STORAGE_BASE_PATH` in the deployment's path stands for. `client`: one to
    ask; None asks that of this process. Changes the working directory to where the code is. Raises `MissingFlowError` for a run without a
    deployment or a deployment without an entrypoint, `StepExecutionError`, and as `load_flow_from_entrypoint` does.
    """
    from headrace.model.endpoints.deployments import READ_DEPLOYMENT

    if flow_run.deployment_id is None:
        raise MissingFlowError(
            f"Flow run {flow_run.name!r} belongs to no deployment, so nothing says where its flow is. Set {internal_name(ENTRYPOINT)} to it."
        )
    deployment = await (client or current_client()).call(READ_DEPLOYMENT, id=flow_run.deployment_id)
    if not deployment.entrypoint:
        raise MissingFlowError(f"Deployment {deployment.name!r} does not have an entrypoint, so nothing says where its flow is. Deploy it again.")
    await _enter_code(deployment, flow_run, ignore_storage, storage_base_path)
    return load_flow_from_entrypoint(deployment.entrypoint, use_placeholder_flow=use_placeholder_flow)


load_flow_from_flow_run = aload_flow_from_flow_run
"""Under its documented name. It is a coroutine function there too."""


async def _enter_code(deployment: Deployment, flow_run: FlowRun, ignore_storage: bool, storage_base_path: str | None) -> None:
    if deployment.pull_steps and not ignore_storage:
        from headrace.deploy.steps.run import arun_steps

        outputs = await arun_steps(deployment.pull_steps, print_function=logger.info, deployment=deployment, flow_run=flow_run, logger=logger)
        if outputs.get("directory"):
            _enter(str(outputs["directory"]))
    elif deployment.path:
        _enter(deployment.path.replace("$STORAGE_BASE_PATH", storage_base_path or "."))


def _enter(folder: str) -> None:
    """Work in `folder`, and find modules there."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"There is no folder {folder!r}, which the deployment says its code is in. Paths start at {os.getcwd()!r}.")
    os.chdir(folder)
    sys.path.insert(0, os.getcwd())


def _report_unloadable(run: FlowRun, error: BaseException) -> None:
    raised = error.user_exc if isinstance(error, ScriptError) else error
    logger.error("The flow of this run could not be loaded.", exc_info=raised, extra={"flow_run_id": str(run.id), "flow_run_name": run.name})
    text = str(error) if isinstance(error, HeadraceException | FileNotFoundError) else f"{type(error).__name__}: {error}"
    if isinstance(error, ScriptError):
        text = f"{error.path} raised {type(raised).__name__} when it was imported: {raised}"
    _end_as_crashed(run, f"The flow of this run could not be loaded. {text}")


def _end_as_crashed(run: FlowRun, message: str) -> None:
    from headrace.client.methods.proposals import as_proposal
    from headrace.model.endpoints.flow_runs import SET_FLOW_RUN_STATE
    from headrace.model.orchestration import SetState

    proposed = as_proposal(Crashed(message=message))
    proposed.state_details.transition_id = ids.new()
    drive(spool().settle())
    drive(current_client().call(SET_FLOW_RUN_STATE, SetState(state=proposed, force=True), id=run.id, owner=spool().owner_id))


# --- the hooks of a run whose process died ----------------------------------------------------------------------------------


def _run_hooks_of(run: FlowRun) -> int:
    """Run the hooks that the process of the run can run no more, those for the state that the run is in."""
    from headrace.engine.context import FlowRunContext
    from headrace.model import clock

    state: State | None = run.state
    try:
        flow = flow_of(run)
    except Exception as error:  # noqa: BLE001  # users' code; the run's own process said the same
        logger.warning("The hooks of flow run %r cannot be run, as its flow cannot be loaded: %s", run.name, error)
        return 1
    if state is None:
        return 0
    hooks = flow.on_cancellation_hooks if state.is_cancelling() else flow.on_crashed_hooks if state.is_crashed() else []
    if not hooks:
        return 0
    frame = FlowRunContext(flow, run, run.parameters, clock.now(), flow.task_runner)
    told = lambda: (flow, run, state)
    if flow.isasync:
        asyncio.run(run_hooks(hooks, told, frame, None, ASYNC))
    else:
        drive(run_hooks(hooks, told, frame, None, BLOCKING))
    drive(spool().settle())
    return 0


# --- outliving the runner -----------------------------------------------------------------------------------------------------


def _hold_output() -> None:
    """Let the run go on when the process that reads its output dies: what it prints goes nowhere then, instead of breaking it.

    `HEADRACE__LIFELINE` names two descriptors: one that is at its end when that process has died, and a reader of this process's own output.
    """
    given = os.environ.pop(internal_name(LIFELINE), None)
    if given is None:
        return
    lifeline, output = (int(one) for one in given.split(","))
    for one in (lifeline, output):
        os.set_inheritable(one, False)

    def watch() -> None:
        os.read(lifeline, 1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        while os.read(output, 65_536):  # whoever waits for room in the pipe goes on
            pass

    threading.Thread(target=watch, name="headrace-lifeline", daemon=True).start()
