"""Job variables against the base job template of their pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from headrace.model import ids
from headrace.model.deployments import DeploymentCreate, DeploymentFlowRunCreate
from headrace.model.endpoints import deployments, flow_runs, work_pools
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.errors import InvalidRequest, ObjectNotFound
from headrace.model.flow_runs import FlowRunUpdate
from headrace.model.flows import FlowCreate
from headrace.model.work_pools import WorkPoolCreate

Call = Callable[..., Any]
TEMPLATE = {
    "job_configuration": {"image": "{{ image }}", "cpu": "{{ cpu }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "string"},
            "cpu": {"type": "integer", "default": 1},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
}


@pytest.fixture
def deploy(call: Call) -> Callable[..., UUID]:
    """Make a deployment in the pool with these job variables."""
    flow = call(CREATE_FLOW, FlowCreate(name="f")).id
    call(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="p", type="docker", base_job_template=TEMPLATE))
    return lambda **given: call(deployments.CREATE_DEPLOYMENT, DeploymentCreate(name="d", flow_id=flow, work_pool_name="p", job_variables=given)).id


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"cpu": 2, "env": {"A": "1", "B": None}},
        {"cpu": None},
        {"cpu": "{{ prefect.variables.cpu }}"},
        {"unknown": 1},
    ],
)
def test_a_deployment_may_say_what_fits(deploy: Callable[..., UUID], given: dict[str, Any]) -> None:
    assert deploy(**given)


@pytest.mark.parametrize(
    ("given", "reason"), [({"cpu": "two"}, "cpu is 'two', not of type integer"), ({"env": {"A": 1}}, "env.A is 1, not of type string")]
)
def test_a_deployment_may_not_say_what_does_not(deploy: Callable[..., UUID], given: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=f"Error creating deployment: Validation failed.*{reason}") as refused:
        deploy(**given)
    assert refused.value.status == 409


def test_a_block_must_exist(deploy: Callable[..., UUID]) -> None:
    with pytest.raises(ObjectNotFound, match="Block not found"):
        deploy(image={"$ref": {"block_document_id": str(ids.new())}})


def test_a_run_needs_what_its_deployment_left_open(call: Call, deploy: Callable[..., UUID]) -> None:
    deployment = deploy(cpu=2)
    with pytest.raises(InvalidRequest, match="Error creating flow run: Validation failed.*image is required"):
        call(deployments.CREATE_RUN_OF_DEPLOYMENT, DeploymentFlowRunCreate(), id=deployment)
    body = DeploymentFlowRunCreate(job_variables={"image": "i"})
    assert call(deployments.CREATE_RUN_OF_DEPLOYMENT, body, id=deployment).job_variables == {"image": "i"}


def test_a_scheduled_run_may_change_what_fits(call: Call, deploy: Callable[..., UUID]) -> None:
    run = call(deployments.CREATE_RUN_OF_DEPLOYMENT, DeploymentFlowRunCreate(), id=deploy(image="i")).id
    call(flow_runs.UPDATE_FLOW_RUN, FlowRunUpdate(job_variables={"cpu": 4}), id=run)
    assert call(flow_runs.READ_FLOW_RUN, id=run).job_variables == {"cpu": 4}
    with pytest.raises(InvalidRequest, match="Error updating flow run: Validation failed.*cpu is 'x'"):
        call(flow_runs.UPDATE_FLOW_RUN, FlowRunUpdate(job_variables={"cpu": "x"}), id=run)
