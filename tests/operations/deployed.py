"""A deployment to work with, and short ways to say what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.model.deployments import Deployment, DeploymentCreate
from headrace.model.endpoints import deployments, flow_runs, flows
from headrace.model.flow_runs import FlowRun
from headrace.model.flows import FlowCreate
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.run_filters import FlowRunFilter, FlowRunFilterDeploymentId
from headrace.model.run_queries import FlowRunQuery
from headrace.model.states import StateCreate, StateType

Call = Callable[..., Any]

HOURLY: dict[str, Any] = {"schedule": {"interval": 3600, "anchor_date": "2024-01-01T00:00:00Z"}}


def deploy(call: Call, name: str = "d", flow: str = "f", **fields: Any) -> Deployment:
    """Make a deployment, and its flow if need be."""
    flow_id = call(flows.CREATE_FLOW, FlowCreate(name=flow)).id
    return call(deployments.CREATE_DEPLOYMENT, DeploymentCreate.model_validate({"name": name, "flow_id": flow_id, **fields}))


def runs_of(call: Call, deployment: Deployment) -> list[FlowRun]:
    """Return the runs of a deployment by their scheduled time."""
    wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]))
    return call(flow_runs.FILTER_FLOW_RUNS, FlowRunQuery.model_validate({"flow_runs": wanted, "sort": "EXPECTED_START_TIME_ASC"}))


def propose(call: Call, run: FlowRun, kind: str, **fields: Any) -> OrchestrationResult:
    """Propose a state for a run."""
    force = fields.pop("force", False)
    return call(flow_runs.SET_FLOW_RUN_STATE, SetState(state=StateCreate(type=StateType(kind), **fields), force=force), id=run.id)
