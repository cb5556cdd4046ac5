"""The flow run that the code is part of: the one in progress here, else the one that this process was started for."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.engine.context import FlowRunContext, current
from headrace.engine.runtime.attributes import read
from headrace.model import clock
from headrace.model.flow_runs import FlowRun
from headrace.settings import get_current_settings
from headrace.settings.environment import internal_variable


def _context() -> FlowRunContext | None:
    return current().flow


def _run() -> FlowRun | None:
    context = _context()
    if context is not None:
        return context.flow_run
    run_id = get_id()
    return _load(UUID(run_id)) if run_id is not None else None


def _load(run_id: UUID) -> FlowRun:
    from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

    return drive(current_client().call(READ_FLOW_RUN, id=run_id))


def get_id() -> str | None:
    """Return the flow run's id."""
    here = current()
    if here.flow is not None:
        return str(here.flow.flow_run.id)
    if here.task is not None and here.task.record.flow_run_id is not None:
        return str(here.task.record.flow_run_id)
    return internal_variable("FLOW_RUN_ID")


def get_tags() -> list[str]:
    """Return the flow run's tags."""
    run = _run()
    return list(run.tags) if run is not None else []


def get_name() -> str | None:
    """Return the flow run's name."""
    run = _run()
    return run.name if run is not None else None


def get_run_count() -> int:
    """Return how often the flow run has been started; 0 outside flow runs."""
    run = _run()
    return run.run_count if run is not None else 0


def get_flow_name() -> str | None:
    """Return the flow's name."""
    context = _context()
    if context is not None:
        return context.flow.name
    run = _run()
    if run is None:
        return None
    from headrace.model.endpoints.flows import READ_FLOW

    return drive(current_client().call(READ_FLOW, id=run.flow_id)).name


def get_flow_version() -> str | None:
    """Return the flow's version."""
    context = _context()
    if context is not None:
        return context.flow.version
    run = _run()
    return run.flow_version if run is not None else None


def get_scheduled_start_time() -> datetime:
    """Return when the flow run was expected to start; the present time where that is not known."""
    run = _run()
    return (run.expected_start_time if run is not None else None) or clock.now()


def get_parameters() -> dict[str, Any]:
    """Return the flow run's parameters: validated values inside the run, values as they are stored elsewhere."""
    context = _context()
    if context is not None:
        return dict(context.parameters)
    run = _run()
    return dict(run.parameters) if run is not None else {}


def get_parent_flow_run_id() -> str | None:
    """Return the id of the flow run that called this one, if one did."""
    context, run = _context(), _run()
    parent = context.parent.flow if context is not None and context.parent is not None else None
    if parent is not None:
        return str(parent.flow_run.id)
    return _stored_parent(run) if run is not None else None


def _stored_parent(run: FlowRun) -> str | None:
    if run.parent_task_run_id is None:
        return None
    from headrace.model.endpoints.task_runs import READ_TASK_RUN

    parent = drive(current_client().call(READ_TASK_RUN, id=run.parent_task_run_id)).flow_run_id
    return str(parent) if parent is not None else None


def get_parent_deployment_id() -> str | None:
    """Return the id of the deployment whose run called this one, if there is one."""
    parent_id = get_parent_flow_run_id()
    deployment_id = _load(UUID(parent_id)).deployment_id if parent_id is not None else None
    return str(deployment_id) if deployment_id is not None else None


def get_root_flow_run_id() -> str | None:
    """Return the id of the outermost flow run: this one's, where no flow run called it."""
    context = _context()
    while context is not None and context.parent is not None and context.parent.flow is not None:
        context = context.parent.flow
    run = context.flow_run if context is not None else _run()
    while run is not None:
        parent_id = _stored_parent(run)
        if parent_id is None:
            return str(run.id)
        run = _load(UUID(parent_id))
    return None


def get_flow_run_api_url() -> str | None:
    """Return the flow run's address in the API; None without an API URL."""
    run_id, url = get_id(), get_current_settings().api.url
    return f"{url.rstrip('/')}/flow_runs/{run_id}" if run_id and url else None


def get_flow_run_ui_url() -> str | None:
    """Return the flow run's address in the user interface; None without one."""
    run_id, url = get_id(), get_current_settings().ui_url
    return f"{url.rstrip('/')}/runs/flow-run/{run_id}" if run_id and url else None


def get_job_variables() -> dict[str, Any] | None:
    """Return the job variables that the flow run was given."""
    run = _run()
    return run.job_variables if run is not None else None


GETTERS = {
    "id": get_id,
    "tags": get_tags,
    "name": get_name,
    "run_count": get_run_count,
    "flow_name": get_flow_name,
    "flow_version": get_flow_version,
    "scheduled_start_time": get_scheduled_start_time,
    "parameters": get_parameters,
    "parent_flow_run_id": get_parent_flow_run_id,
    "parent_deployment_id": get_parent_deployment_id,
    "root_flow_run_id": get_root_flow_run_id,
    "api_url": get_flow_run_api_url,
    "ui_url": get_flow_run_ui_url,
    "job_variables": get_job_variables,
}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return read("flow_run", name, GETTERS)


def __dir__() -> list[str]:
    return sorted([*GETTERS, *(getter.__name__ for getter in GETTERS.values())])
