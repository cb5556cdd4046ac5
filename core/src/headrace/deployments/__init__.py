"""Front desk: deployments, flows with what it takes to run them elsewhere and later. Names are loaded when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.deployments.base import initialize_project
    from headrace.deployments.flow_runs import arun_deployment, run_deployment
    from headrace.deployments.runner import DeploymentApplyError, EntrypointType, RunnerDeployment, adeploy, deploy

__all__ = [
    "DeploymentApplyError",
    "EntrypointType",
    "RunnerDeployment",
    "adeploy",
    "arun_deployment",
    "deploy",
    "initialize_project",
    "run_deployment",
]


def __getattr__(name: str) -> Any:
    if name in ("arun_deployment", "run_deployment"):
        from headrace.deployments import flow_runs as found
    elif name == "initialize_project":
        from headrace.deployments import base as found
    elif name in __all__:
        from headrace.deployments import runner as found
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(found, name)
