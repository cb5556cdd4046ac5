"""What a run's infrastructure is made from: template, deployment and run merged as documented."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import Field, ValidationError

from headrace.blocks.system import Secret
from headrace.client.orchestration import get_client
from headrace.variables import Variable
from headrace.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult
from headrace.workers.process import ProcessJobConfiguration, ProcessWorker


class SizedConfiguration(BaseJobConfiguration):
    memory: str = Field(default="1024Mi", json_schema_extra={"template": "{{ memory_request }}Mi"})
    cpu: int = 5
    spot: bool = True
    hosts: list[str] = Field(default_factory=lambda: ["a"])


class SizedVariables(BaseVariables):
    memory_request: int = Field(default=1024)
    cpu: int | None = None
    spot: bool = True
    hosts: list[str] = Field(default_factory=list)


class SizedWorker(BaseWorker[SizedConfiguration, SizedVariables, BaseWorkerResult]):
    type = "sized"
    job_configuration = SizedConfiguration
    job_configuration_variables = SizedVariables

    async def run(self, flow_run: Any, configuration: SizedConfiguration, task_status: Any = None) -> BaseWorkerResult:
        return BaseWorkerResult(identifier="x", status_code=0)


def _made(configuration: type[BaseJobConfiguration], template: dict[str, Any], values: dict[str, Any]) -> Any:
    return asyncio.run(configuration.from_template_and_values(template, values))


def test_a_template_names_each_field_or_what_the_field_declares() -> None:
    template = SizedWorker.get_default_base_job_template()
    assert template["job_configuration"]["memory"] == "{{ memory_request }}Mi"
    assert template["job_configuration"]["cpu"] == "{{ cpu }}"
    assert template["variables"]["properties"]["memory_request"]["default"] == 1024
    assert "title" not in template["variables"]


def test_who_changes_a_template_changes_no_other() -> None:
    class Nested(BaseJobConfiguration):
        request: dict[str, Any] = Field(default_factory=dict, json_schema_extra={"template": {"size": ["{{ size }}"]}})

    Nested.json_template()["request"]["size"].append("more")
    assert Nested.json_template()["request"] == {"size": ["{{ size }}"]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"memory": "1024Mi", "cpu": 5, "spot": True, "hosts": ["a"]}),
        ({"memory_request": 2048}, {"memory": "2048Mi"}),
        ({"spot": False, "cpu": 0, "hosts": []}, {"spot": False, "cpu": 0, "hosts": []}),
        ({"unheard_of": 1}, {"cpu": 5}),
        ({"env.A": "1"}, {"env": {"A": "1"}}),
        ({"env.A": "1", "env": {"A": "2", "B": "3"}}, {"env": {"A": "2", "B": "3"}}),
        ({"env": {"N": 1, "Y": True}}, {"env": {"N": "1", "Y": "True"}}),
    ],
)
def test_values_go_before_defaults_and_false_ones_are_values(values: dict[str, Any], expected: dict[str, Any]) -> None:
    made = _made(SizedConfiguration, SizedWorker.get_default_base_job_template(), values)
    assert {key: getattr(made, key) for key in expected} == expected


def test_variables_of_the_environment_are_merged_one_by_one_at_every_level() -> None:
    from headrace.deploy.workers.pools import job_variables

    template = ProcessWorker.get_default_base_job_template()
    template["job_configuration"]["env"] = {"C": "3", "D": "4"}
    values = job_variables({"env.A": "1"}, {"env": {"B": "2", "D": None}})
    assert _made(ProcessJobConfiguration, template, values).env == {"A": "1", "B": "2", "C": "3", "D": None}


def test_blocks_and_variables_are_resolved_after_the_values() -> None:
    Secret(value="hidden").save("token")
    Variable.set("region", "north")
    template = SizedWorker.get_default_base_job_template()
    values = {"env": {"TOKEN": "{{ headrace.blocks.secret.token }}", "REGION": "{{ headrace.variables.region }}"}}
    assert _made(SizedConfiguration, template, values).env == {"TOKEN": "hidden", "REGION": "north"}


def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(ValidationError, match="cpu"):
        _made(SizedConfiguration, SizedWorker.get_default_base_job_template(), {"cpu": "many"})


def test_a_prepared_configuration_says_which_run_it_is_for() -> None:
    async def body() -> None:
        async with get_client() as client:
            flow_id = await client.create_flow_from_name("f")
            deployment = await client.read_deployment(await client.create_deployment(flow_id=flow_id, name="d"))
            run = await client.create_flow_run_from_deployment(deployment.id, name="the-run")
            flow = await client.read_flow(flow_id)
        made = BaseJobConfiguration(env={"MINE": "1", "HEADRACE__FLOW_NAME": None}, labels={"team": "a"}, name="job-{{ ctx.flow_run.name }}")
        made.prepare_for_flow_run(run, deployment, flow, None, "w")
        assert made.env["HEADRACE__FLOW_RUN_ID"] == str(run.id)
        assert made.env["HEADRACE__DEPLOYMENT_NAME"] == "d"
        assert made.env["HEADRACE__WORKER_NAME"] == "w"
        assert made.env["MINE"] == "1"
        assert "HEADRACE__FLOW_NAME" not in made.env
        assert made.labels["prefect.io/flow-run-id"] == str(run.id)
        assert (made.labels["team"], made.name) == ("a", "job-the-run")
        assert made.command is not None
        assert made.is_using_a_runner

    asyncio.run(body())
