"""The deployment whose run the code is part of. Every attribute is empty in runs without one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.engine.context import current
from headrace.engine.runtime import flow_run
from headrace.engine.runtime.attributes import read
from headrace.model.flow_runs import FlowRun


def _run() -> FlowRun | None:
    here = current().flow
    if here is not None:
        return here.flow_run
    run_id = flow_run.get_id()
    if run_id is None:
        return None
    from headrace.model.endpoints.flow_runs import READ_FLOW_RUN

    return drive(current_client().call(READ_FLOW_RUN, id=UUID(run_id)))


def get_id() -> str | None:
    """Return the deployment's id."""
    run = _run()
    return str(run.deployment_id) if run is not None and run.deployment_id is not None else None


def get_parameters() -> dict[str, Any]:
    """Return the parameters that the run was given by its deployment or by whoever started it, without the flow's defaults."""
    run = _run()
    return dict(run.parameters) if run is not None else {}


def get_name() -> str | None:
    """Return None: no store keeps deployments that could be asked for their name."""
    return None


def get_version() -> str | None:
    """Return the deployment's version at the time when the run was made."""
    run = _run()
    return run.deployment_version if run is not None else None


def get_flow_run_id() -> str | None:
    """Return the id of the flow run."""
    return flow_run.get_id()


GETTERS = {
    "id": get_id,
    "parameters": get_parameters,
    "name": get_name,
    "version": get_version,
    "flow_run_id": get_flow_run_id,
}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return read("deployment", name, GETTERS)


def __dir__() -> list[str]:
    return sorted([*GETTERS, *(getter.__name__ for getter in GETTERS.values())])
