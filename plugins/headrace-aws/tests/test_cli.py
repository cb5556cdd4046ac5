"""`headrace-aws ecs-worker`: stacks on moto's CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from cfnlint.api import lint
from click.testing import CliRunner, Result

from headrace.client.orchestration import get_client
from headrace.client.schemas.actions import WorkPoolCreate
from headrace.settings import temporary_settings
from headrace_aws import AwsCredentials, ECSWorker, stacks
from headrace_aws.cli import main, update_work_pool_defaults

from .conftest import environment_for

Run = Callable[..., Result]


@pytest.fixture
def run(moto: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in environment_for(moto).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0.01)

    def call(*words: str, **options: str) -> Result:
        return CliRunner().invoke(main, ["ecs-worker", *words], **options)

    return call


@pytest.fixture
def cluster(run: Run) -> str:
    name = f"cluster-{uuid4().hex[:8]}"
    return AwsCredentials().get_client("ecs").create_cluster(clusterName=name)["cluster"]["clusterArn"]


@pytest.fixture
def service_words(cluster: str) -> list[str]:
    subnet = AwsCredentials().get_client("ec2").describe_subnets()["Subnets"][0]
    words = ["--work-pool-name", "ecs-pool", "--stack-name", "s-" + uuid4().hex[:8], "--existing-cluster-identifier", cluster]
    words += ["--existing-vpc-id", subnet["VpcId"], "--existing-subnet-ids", subnet["SubnetId"], "--docker-image", "headrace-aws:1"]
    return [*words, "--headrace-api-url", "http://10.0.0.1:4200/api", "--headrace-api-key", "key-of-the-api"]


def test_events_are_deployed_listed_and_deleted(run: Run, cluster: str) -> None:
    pool, stack = f"pool-{uuid4().hex[:6]}", f"events-{uuid4().hex[:6]}"
    deployed = run("deploy-events", "--work-pool-name", pool, "--stack-name", stack, "--existing-cluster-arn", cluster)
    assert deployed.exit_code == 0, deployed.output
    assert f"SQS_QUEUE_NAME={pool}-events" in deployed.output

    sqs = AwsCredentials().get_client("sqs")
    queue = sqs.get_queue_url(QueueName=f"{pool}-events")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 3
    assert attributes["VisibilityTimeout"] == "300"
    rule = AwsCredentials().get_client("events").describe_rule(Name=f"{pool}-task-state-changes")
    assert json.loads(rule["EventPattern"])["detail"]["clusterArn"] == [cluster]

    listed = json.loads(run("list", "--format", "json").stdout)
    assert {"stack_name": stack, "status": "CREATE_COMPLETE", "type": "events-only", "work_pool": pool}.items() <= {
        key: value for one in listed if one["stack_name"] == stack for key, value in one.items()
    }.items()
    assert stack in run("list").output
    assert f"QueueName: {pool}-events" in run("status", stack).output

    asked = run("delete", stack, input="n\n")
    assert asked.exit_code == 1
    assert run("delete", stack, "--force").exit_code == 0
    assert stack not in run("list").output


def test_a_service_is_deployed_and_becomes_the_pools_default(run: Run, cluster: str, service_words: list[str]) -> None:
    with get_client(sync_client=True) as client:
        template = ECSWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name="ecs-pool", type="ecs", base_job_template=template))
    deployed = run("deploy-service", *service_words, "--headrace-api-key-secret-arn", "arn:the-key")
    assert deployed.exit_code == 0, deployed.output
    assert "key-of-the-api" not in deployed.output
    ecs = AwsCredentials().get_client("ecs")
    (service,) = ecs.describe_services(cluster=cluster, services=["headrace-worker-ecs-pool"])["services"]
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    assert container["command"][-1].startswith("exec headrace worker start --type ecs --pool 'ecs-pool'")
    assert {"name": "HEADRACE_INTEGRATIONS_AWS_ECS_OBSERVER_SQS_QUEUE_NAME", "value": "ecs-pool-events"} in container["environment"]
    secrets = [one for one in container["secrets"] if one is not None]  # moto leaves what stands for nothing
    assert secrets == [{"name": "HEADRACE_API_KEY", "valueFrom": "arn:the-key"}]  # ECS refuses a name that comes twice

    with get_client(sync_client=True) as client:
        properties = client.read_work_pool("ecs-pool").base_job_template["variables"]["properties"]
    assert properties["cluster"]["default"] == cluster
    assert properties["execution_role_arn"]["default"].startswith("arn:aws:iam")
    assert properties["network_configuration"]["default"]["subnets"] == [service_words[9]]
    assert properties["headrace_api_key_secret_arn"]["default"] == "arn:the-key"

    again = run("deploy-service", *service_words, "--task-cpu", "1024")
    assert again.exit_code == 0, again.output


def test_a_dry_run_changes_nothing_and_shows_no_key(run: Run, service_words: list[str]) -> None:
    tried = run("deploy-service", *service_words, "--dry-run", "--work-queues", "a,b c")
    assert tried.exit_code == 0, tried.output
    assert "WorkerArguments: --work-queue a --work-queue 'b c'\n" in tried.output
    assert "key-of-the-api" not in tried.output
    assert service_words[3] not in run("list").output


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [(5, "no-such-cluster", "no active ECS cluster 'no-such-cluster'"), (7, "vpc-00000000", "vpc-00000000"), (9, "subnet-foreign", "subnet-foreign")],
)
def test_what_is_not_there_is_told_before(run: Run, service_words: list[str], index: int, value: str, message: str) -> None:
    service_words[index] = value
    refused = run("deploy-service", *service_words)
    assert refused.exit_code == 1
    assert message in refused.output


def test_the_api_is_that_of_the_settings_unless_told(run: Run, service_words: list[str]) -> None:
    with temporary_settings({"HEADRACE_API_URL": "http://10.0.0.2:4200/api", "HEADRACE_API_KEY": "key-of-the-profile"}):
        tried = run("deploy-service", *service_words[:-4], "--dry-run", input="\n")
    assert tried.exit_code == 0, tried.output
    assert "ApiUrl: http://10.0.0.2:4200/api" in tried.output
    assert "ApiKey: ********" in tried.output
    assert "key-of-the-profile" not in tried.output


def test_an_address_of_this_machine_is_warned_of(run: Run, service_words: list[str]) -> None:
    tried = run("deploy-service", *service_words, "--headrace-api-url", "http://127.0.0.1:4200/api", "--dry-run")
    assert tried.exit_code == 0
    assert "cannot reach http://127.0.0.1:4200/api" in tried.stderr
    assert "cannot reach" not in run("deploy-service", *service_words, "--dry-run").stderr


@pytest.mark.parametrize("name", ["pool with spaces", "a" * 46, "pool'; true"])
def test_a_pool_that_no_queue_can_be_called_after_is_refused(run: Run, name: str) -> None:
    refused = run("deploy-events", "--work-pool-name", name, "--stack-name", "s", "--existing-cluster-arn", "c")
    assert refused.exit_code == 2
    assert "letters, digits, - and _ only" in " ".join(refused.output.split())


def test_other_peoples_stacks_are_left_alone(run: Run) -> None:
    template = {"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}
    AwsCredentials().get_client("cloudformation").create_stack(StackName="foreign", TemplateBody=json.dumps(template))
    assert "foreign" not in run("list").output
    for words in (("status", "foreign"), ("delete", "foreign", "--force")):
        refused = run(*words)
        assert refused.exit_code == 1
        assert "was not made by headrace-aws" in refused.output
    assert "no stack 'nothing'" in run("status", "nothing").output


def test_missing_credentials_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = CliRunner().invoke(main, ["ecs-worker", "list", "--region", "us-east-1"])
    assert refused.exit_code == 1
    assert "access key" in refused.output


@pytest.mark.parametrize("kind", ["service", "events-only"])
def test_templates_are_exported(run: Run, kind: str, tmp_path: Path) -> None:
    for form, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        file = tmp_path / "deep" / f"t.{form}"
        assert run("export-template", "--template-type", kind, "--output-path", str(file), "--format", form).exit_code == 0
        found = read(file.read_text())
        assert found["AWSTemplateFormatVersion"] == "2010-09-09"
        assert ("Service" in found["Resources"]) is (kind == "service")
    assert [str(one) for one in lint(file.read_text(), regions=["us-east-1"])] == []


def test_defaults_are_set_for_variables_that_the_pool_has() -> None:
    template = {"job_configuration": {"cluster": "{{ cluster }}"}, "variables": {"properties": {"cluster": {"type": "string"}}}}
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="small", type="ecs", base_job_template=template))
    assert update_work_pool_defaults("small", {"ClusterArn": "arn:c", "VpcId": "vpc-1", "QueueName": "q"}) == ["cluster"]


def test_the_program_tells_its_version() -> None:
    assert CliRunner().invoke(main, ["version"]).output.strip()
