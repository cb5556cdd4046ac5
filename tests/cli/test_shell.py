"""Shell commands as flows, and generated handles of deployments."""

from __future__ import annotations

import importlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client, forget_client
from headrace.client.spool import close_process_spool
from headrace.deploy.sdk import NoDeploymentsError, generate_sdk
from headrace.model.deployments import DeploymentCreate
from headrace.model.endpoints.deployments import CREATE_DEPLOYMENT
from headrace.model.endpoints.flow_runs import READ_FLOW_RUN
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.endpoints.work_pools import CREATE_WORK_POOL
from headrace.model.flows import FlowCreate
from headrace.model.work_pools import WorkPoolCreate
from headrace.settings.in_force import process
from headrace.store.database import Database
from headrace.testing.cli import invoke
from headrace.testing.server import running_server


def call(endpoint: Any, body: Any = None, **parameters: Any) -> Any:
    return drive(current_client().call(endpoint, body, **parameters))


def test_a_command_is_a_flow_run_with_its_output_in_the_log() -> None:
    done = invoke(["shell", "watch", "echo one; echo two >&2", "--flow-name", "Echo", "--flow-run-name", "mine", "--tag", "a", "-o", "json"])
    assert done.exit_code == 0, done.output
    run = json.loads(done.stdout)
    assert (run["name"], run["tags"], run["state"]["name"]) == ("mine", ["a"], "Completed")
    logs = json.loads(invoke(f"flow-run logs {run['id']} -o json").stdout)
    assert {(log["level"], log["message"]) for log in logs} >= {(20, "one"), (40, "two")}


def test_a_command_that_fails_fails_its_run() -> None:
    done = invoke(["shell", "watch", "echo no >&2; exit 3"])
    assert done.exit_code == 1
    assert "The command ended with status 3: no" in done.stderr


def test_serving_a_command_needs_a_server_and_a_schedule_for_its_zone() -> None:
    assert "headrace server start" in invoke("shell serve 'echo x' --flow-name e").stderr
    assert invoke("shell serve 'echo x' --flow-name e --timezone UTC").exit_code == 2
    assert invoke("shell serve 'echo x' --flow-name e --run-once").exit_code == 0


SCHEMA = {
    "type": "object",
    "properties": {
        "source": {"type": "string"},
        "batch-size": {"type": "integer"},
        "kind": {"$ref": "#/definitions/Kind"},
        "class": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]},
        "tree": {"$ref": "#/definitions/Tree"},
    },
    "required": ["source", "batch-size"],
    "definitions": {
        "Kind": {"enum": ["a", "b"]},
        "Tree": {"anyOf": [{"type": "array", "items": {"$ref": "#/definitions/Tree"}}, {"type": "string"}]},
    },
}


@pytest.fixture
def deployments(home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None, None, None]:
    """Have a server with two deployments."""
    with running_server(Database(f"sqlite:///{home.parent / 'server.db'}")) as url:
        monkeypatch.setenv("HEADRACE_API_URL", url)
        process.context = process.chosen_profile = None
        _deploy()
        yield
        close_process_spool()
        forget_client()


def _deploy() -> None:
    flow = call(CREATE_FLOW, FlowCreate(name="my-etl")).id
    variables = {"type": "object", "properties": {"image": {"type": "string"}}}
    call(
        CREATE_WORK_POOL,
        WorkPoolCreate(name="p", type="process", base_job_template={"job_configuration": {"image": "{{ image }}"}, "variables": variables}),
    )
    pooled = DeploymentCreate(name="production", flow_id=flow, parameter_openapi_schema=SCHEMA, parameters={"source": "x"}, work_pool_name="p")
    call(CREATE_DEPLOYMENT, pooled)
    call(CREATE_DEPLOYMENT, DeploymentCreate(name="2nd", flow_id=flow))


@pytest.mark.usefixtures("deployments")
def test_the_generated_file_calls_deployments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my_sdk.py"
    done = invoke(f"sdk generate -o {file}")
    assert (done.exit_code, done.stdout) == (0, f"Wrote 2 deployments of 1 flows to {file}.\n"), done.output
    text = file.read_text()
    for line in (
        "source: str = _UNSET,",
        "batch_size: int,",
        "kind: Literal['a', 'b'] = _UNSET,",
        "_class: list[float] | None = _UNSET,",
        "tree: list[dict[str, Any]] | str = _UNSET,",
        "image: str = _UNSET,",
    ):
        assert line in text
    monkeypatch.syspath_prepend(str(tmp_path))
    sdk: Any = importlib.import_module("my_sdk")
    with pytest.raises(KeyError):
        sdk.deployments.from_name("nope")
    handle = sdk.deployments.from_name("my-etl/production").with_options(tags=["t"], flow_run_name="mine").with_infra(image="i")
    future = handle.run(batch_size=3, kind="a")
    run = call(READ_FLOW_RUN, id=future.flow_run_id)
    assert (run.name, run.tags, run.job_variables) == ("mine", ["t"], {"image": "i"})
    assert run.parameters == {"source": "x", "batch-size": 3, "kind": "a"}


@pytest.mark.usefixtures("deployments")
def test_filters_that_match_nothing_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoDeploymentsError, match="Did you mean 'my-etl'"):
        generate_sdk(tmp_path / "x.py", ["my-etI"])
    assert not (tmp_path / "x.py").exists()
    assert generate_sdk(tmp_path / "x.py", [], ["my-etl/2nd"]).deployment_count == 1
