"""Task definitions and requests: what a configuration makes of itself, and when a definition is registered. ECS and EC2 are moto's."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from uuid import uuid4

import pytest
from botocore.stub import Stubber

from headrace.client.orchestration import get_client
from headrace.client.schemas.objects import FlowRun
from headrace.exceptions import InfrastructureNotFound
from headrace.operations.pools.collections import WORKER_TYPES
from headrace.workers.remote import Failure
from headrace_aws import AwsCredentials, ECSWorker
from headrace_aws.errors import AwsError
from headrace_aws.observers.diagnostics import diagnose_ecs_task
from headrace_aws.workers import task_definitions
from headrace_aws.workers.ecs_configuration import DEREGISTER_TAG, ECSJobConfiguration
from headrace_aws.workers.ecs_worker import TaskNotPlaced, mask_api_key, mask_sensitive_env_values, parse_identifier
from headrace_aws.workers.task_definitions import are_equal, provide_definition, wanted_definition
from headrace_aws.workers.task_requests import ignored_variables, run_request

from .conftest import credentials_for, environment_for

LOG = logging.getLogger("tests")
REGION = "us-east-1"


def job_of(template: dict[str, Any] | None = None, **variables: Any) -> ECSJobConfiguration:
    """Return the configuration that the default template makes of these variables; `template` changes its definition."""
    base = ECSWorker.get_default_base_job_template()
    base["job_configuration"]["task_definition"].update(template or {})
    return asyncio.run(ECSJobConfiguration.from_template_and_values(base, variables))


def prepared(job: ECSJobConfiguration) -> ECSJobConfiguration:
    """Prepare a configuration for a run, as a worker does."""

    async def prepare() -> None:
        async with get_client() as client:
            flow = await client.create_flow_from_name("f")
            job.prepare_for_flow_run(FlowRun(flow_id=flow, name="my-run"))

    asyncio.run(prepare())
    return job


def request_of(job: ECSJobConfiguration, credentials: AwsCredentials, token: str = "t" * 32) -> dict[str, Any]:
    definition = {**wanted_definition(job, REGION), "taskDefinitionArn": "arn:definition"}
    return run_request(lambda: credentials.get_client("ec2"), job, definition, token, LOG)


def test_pools_that_are_made_where_the_plugin_is_not_installed_have_the_same_variables() -> None:
    known = json.loads(WORKER_TYPES.read_text(encoding="utf-8"))["headrace-aws"]["ecs"]["default_base_job_configuration"]
    own = ECSWorker.get_default_base_job_template()
    assert known["job_configuration"] == own["job_configuration"]
    assert known["variables"]["properties"].keys() == own["variables"]["properties"].keys()


# --- definitions


def test_a_default_definition_runs_on_fargate() -> None:
    found = wanted_definition(prepared(job_of()), REGION)
    (container,) = found["containerDefinitions"]
    assert container["name"] == "headrace"
    assert container["image"].startswith("headrace:")
    assert (found["cpu"], found["memory"]) == ("1024", "2048")
    assert found["requiresCompatibilities"] == ["FARGATE"]
    assert found["networkMode"] == "awsvpc"
    assert found["family"].startswith("headrace_pool_")


def test_what_is_empty_is_left_out_and_what_is_false_stays() -> None:
    (container,) = wanted_definition(
        job_of({"containerDefinitions": [{"name": "a", "image": "", "command": [], "readonlyRootFilesystem": False, "startTimeout": 0}]}), REGION
    )["containerDefinitions"]
    assert container == {"name": "a", "image": container["image"], "readonlyRootFilesystem": False, "startTimeout": 0}
    assert container["image"].startswith("headrace:")


def test_sizes_belong_to_the_container_on_machines() -> None:
    found = wanted_definition(job_of(launch_type="EC2", cpu=256, memory=512, image="i"), REGION)
    assert found["containerDefinitions"][0]["cpu"] == 256
    assert found["containerDefinitions"][0]["memory"] == 512
    assert "cpu" not in found
    assert "networkMode" not in found


@pytest.mark.parametrize(("names", "given", "expected"), [(["a", "prefect"], None, "prefect"), (["a", "b"], None, "a"), (["a", "b"], "b", "b")])
def test_the_container_that_runs_the_flow_is_found(names: list[str], given: str | None, expected: str) -> None:
    job = job_of({"containerDefinitions": [{"name": name, "image": "i"} for name in names]}, container_name=given)
    assert job.container_name == expected


def test_an_unknown_container_is_refused() -> None:
    with pytest.raises(ValueError, match="no container 'c'; it has: a"):
        wanted_definition(job_of({"containerDefinitions": [{"name": "a"}]}, container_name="c"), REGION)


def test_logs_go_to_cloudwatch() -> None:
    job = prepared(job_of(configure_cloudwatch_logs=True, execution_role_arn="arn:role", cloudwatch_logs_options={"awslogs-group": "mine"}))
    found = wanted_definition(job, "eu-west-1")
    assert found["executionRoleArn"] == "arn:role"
    assert found["containerDefinitions"][0]["logConfiguration"] == {
        "logDriver": "awslogs",
        "options": {
            "awslogs-create-group": "true",
            "awslogs-group": "mine",
            "awslogs-region": "eu-west-1",
            "awslogs-stream-prefix": "headrace-logs_pool",
        },
    }


def test_secrets_of_the_api_are_named_and_not_given(credentials: AwsCredentials) -> None:
    job = prepared(
        job_of(
            {"containerDefinitions": [{"name": "x", "secrets": [{"name": "HEADRACE_API_KEY", "valueFrom": "old"}, {"name": "B", "valueFrom": "b"}]}]},
            headrace_api_key_secret_arn="arn:key",
            secret_env={"A": "arn:a"},
            env={"HEADRACE_API_KEY": "plain-api-key", "A": "plain", "B": "plain", "C": "c"},
        )
    )
    (container,) = wanted_definition(job, REGION)["containerDefinitions"]
    assert {one["name"]: one["valueFrom"] for one in container["secrets"]} == {"HEADRACE_API_KEY": "arn:key", "A": "arn:a", "B": "b"}
    request = request_of(job, credentials)
    given = {one["name"] for one in request["overrides"]["containerOverrides"][0]["environment"]}
    assert "C" in given
    assert not given & {"HEADRACE_API_KEY", "A", "B"}
    assert "plain-api-key" not in repr(job)


def test_pools_of_the_original_keep_their_variables() -> None:
    assert ECSJobConfiguration(task_definition={"family": "f"}, prefect_api_key_secret_arn="arn:k").headrace_api_key_secret_arn == "arn:k"


@pytest.mark.parametrize(
    ("variables", "template", "message"),
    [
        ({"configure_cloudwatch_logs": True}, {}, "execution_role_arn"),
        ({"cloudwatch_logs_options": {"a": "b"}}, {}, "configure_cloudwatch_logs"),
        ({"network_configuration": {"subnets": ["s"]}}, {}, "vpc_id"),
        ({}, {"containerDefinitions": [{"name": "a", "essential": False}]}, "essential"),
    ],
)
def test_what_does_not_fit_together_is_refused(variables: dict[str, Any], template: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        job_of(template, **variables)


def test_no_credentials_are_those_of_the_environment() -> None:
    assert job_of(aws_credentials=None).aws_credentials == AwsCredentials()


def test_a_configuration_without_a_definition_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to run"):
        ECSJobConfiguration(task_run_request={"cluster": "c"})
    assert job_of(task_definition_arn="arn:d", configure_cloudwatch_logs=True).task_definition_arn == "arn:d"


def test_fargate_takes_its_own_network_mode_only() -> None:
    with pytest.raises(ValueError, match="'bridge'"):
        wanted_definition(job_of({"networkMode": "bridge"}), REGION)


_HEALTH: tuple[dict[str, int], ...] = ({}, {"interval": 30, "timeout": 5, "retries": 3})


def test_what_ecs_adds_makes_no_difference() -> None:
    wanted = wanted_definition(job_of(image="i", secret_env={"B": "b", "A": "a"}), REGION)
    (container,) = wanted["containerDefinitions"]
    found = {
        **wanted,
        "taskDefinitionArn": "arn",
        "revision": 3,
        "status": "ACTIVE",
        "compatibilities": ["EC2", "FARGATE"],
        "placementConstraints": [],
        "volumes": [],
        "containerDefinitions": [
            {
                **wanted["containerDefinitions"][0],
                "cpu": 0,
                "essential": True,
                "environment": [],
                "portMappings": [],
                "secrets": list(reversed(wanted["containerDefinitions"][0]["secrets"])),
            }
        ],
    }
    assert are_equal(found, wanted)
    assert not are_equal({**found, "cpu": "256"}, wanted)
    ports = {**wanted, "containerDefinitions": [{**wanted["containerDefinitions"][0], "portMappings": [{"containerPort": 80}]}]}
    told = {
        **ports,
        "containerDefinitions": [{**ports["containerDefinitions"][0], "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]}],
    }
    assert are_equal(told, ports)
    assert not are_equal(told, wanted)
    assert are_equal({**found, "enableFaultInjection": False}, wanted)
    checked, filled = ({**wanted, "containerDefinitions": [{**container, "healthCheck": {"command": ["CMD", "true"], **more}}]} for more in _HEALTH)
    assert are_equal(filled, checked)
    assert not are_equal({**filled, "containerDefinitions": [container]}, checked)


# --- registering


def test_a_definition_is_registered_once_and_again_when_it_changes(credentials: AwsCredentials) -> None:
    ecs = credentials.get_client("ecs")
    family = f"f-{uuid4().hex}"
    job = prepared(job_of(family=family, image="one", aws_credentials=credentials))
    first = provide_definition(ecs, job, LOG)["taskDefinitionArn"]
    assert provide_definition(ecs, job, LOG)["taskDefinitionArn"] == first
    changed = job.model_copy(update={"task_definition": {**job.task_definition, "containerDefinitions": [{"name": "headrace", "image": "two"}]}})
    second = provide_definition(ecs, changed, LOG)["taskDefinitionArn"]
    assert second != first
    ecs.deregister_task_definition(taskDefinition=second)
    assert provide_definition(ecs, changed, LOG)["taskDefinitionArn"] not in (first, second)


def test_the_newest_definition_of_a_family_is_used_where_that_is_wanted(credentials: AwsCredentials) -> None:
    ecs = credentials.get_client("ecs")
    family = f"f-{uuid4().hex}"
    made = [provide_definition(ecs, prepared(job_of(family=family, image="i", aws_credentials=credentials)), LOG) for _ in range(2)]
    assert made[0]["taskDefinitionArn"] == made[1]["taskDefinitionArn"]  # runs of one flow share it
    task_definitions.definitions = task_definitions.Definitions()  # another worker, or another deployment
    matched = prepared(job_of(family=family, image="i", match_latest_revision_in_family=True, aws_credentials=credentials))
    assert provide_definition(ecs, matched, LOG)["taskDefinitionArn"] == made[0]["taskDefinitionArn"]
    task_definitions.definitions = task_definitions.Definitions()
    other = prepared(job_of(family=family, image="i", aws_credentials=credentials))
    assert provide_definition(ecs, other, LOG)["taskDefinitionArn"] != made[0]["taskDefinitionArn"]


def test_registering_is_tried_again_when_ecs_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AWS_ECS_WORKER_REGISTER_TASK_DEFINITION_MAX_DELAY_SECONDS", "0.01")
    own = credentials_for("http://127.0.0.1:9", aws_access_key_id=uuid4().hex)
    client = own.get_client("ecs")
    with Stubber(client) as stubber:
        stubber.add_client_error("register_task_definition", "ThrottlingException", "Too many concurrent attempts to create a new revision", 400)
        stubber.add_response("register_task_definition", {"taskDefinition": {"taskDefinitionArn": "arn:1"}})
        assert provide_definition(client, prepared(job_of(family="f", aws_credentials=own)), LOG)["taskDefinitionArn"] == "arn:1"
        stubber.add_client_error("register_task_definition", "AccessDeniedException", "no", 400)
        with pytest.raises(AwsError, match="do not allow `RegisterTaskDefinition`"):
            provide_definition(client, prepared(job_of(family="g", aws_credentials=own)), LOG)


def test_a_definition_that_cannot_be_looked_at_is_registered_anew(caplog: pytest.LogCaptureFixture) -> None:
    own = credentials_for("http://127.0.0.1:9", aws_access_key_id=uuid4().hex)
    client = own.get_client("ecs")
    job = prepared(job_of(family="f", aws_credentials=own))
    with Stubber(client) as stubber:
        stubber.add_response("register_task_definition", {"taskDefinition": {"taskDefinitionArn": "arn:1"}})
        provide_definition(client, job, LOG)
        stubber.add_client_error("describe_task_definition", "AccessDeniedException", "no", 400)
        stubber.add_response("register_task_definition", {"taskDefinition": {"taskDefinitionArn": "arn:2"}})
        assert provide_definition(client, job, LOG)["taskDefinitionArn"] == "arn:2"
    assert "arn:1 cannot be looked at" in caplog.text


def test_an_existing_definition_is_named_in_the_error(credentials: AwsCredentials) -> None:
    with pytest.raises(AwsError, match="'no-such:1' cannot be used"):
        provide_definition(credentials.get_client("ecs"), job_of(task_definition_arn="no-such:1", aws_credentials=credentials), LOG)


def test_variables_without_effect_are_known() -> None:
    job = job_of(task_definition_arn="arn", image="i", family="f", execution_role_arn="arn:r", cpu=1)
    assert ignored_variables(job) == ["family", "executionRoleArn", "image"]
    assert ignored_variables(job_of(image="i")) == []


# --- requests


def test_a_fargate_task_gets_the_default_network(credentials: AwsCredentials) -> None:
    request = request_of(prepared(job_of(cluster="c", cpu=512, memory=1024, task_role_arn="arn:role")), credentials)
    network = request["networkConfiguration"]["awsvpcConfiguration"]
    assert network["subnets"]
    assert network["assignPublicIp"] == "ENABLED"
    assert request["launchType"] == "FARGATE"
    assert request["cluster"] == "c"
    assert request["clientToken"] == request["startedBy"] == "t" * 32
    overrides = request["overrides"]
    assert (overrides["cpu"], overrides["memory"], overrides["taskRoleArn"]) == ("512", "1024", "arn:role")
    (own,) = overrides["containerOverrides"]
    assert own["command"] == ["headrace", "flow-run", "execute"]
    assert set(own) == {"name", "command", "environment"}
    assert {"key": "prefect.io/flow-run-name", "value": "my-run"} in request["tags"]


def test_tasks_on_machines_get_no_public_address(credentials: AwsCredentials) -> None:
    request = request_of(prepared(job_of({"networkMode": "awsvpc"}, launch_type="EC2")), credentials)
    assert "assignPublicIp" not in request["networkConfiguration"]["awsvpcConfiguration"]


def test_spot_is_a_capacity_provider(credentials: AwsCredentials) -> None:
    request = request_of(prepared(job_of(launch_type="FARGATE_SPOT")), credentials)
    assert request["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    assert "launchType" not in request


def test_a_strategy_goes_before_the_launch_type(credentials: AwsCredentials) -> None:
    strategy = [{"capacityProvider": "mine", "weight": 1, "base": 0}]
    request = request_of(prepared(job_of(launch_type="EC2", capacity_provider_strategy=strategy)), credentials)
    assert request["capacityProviderStrategy"] == strategy
    assert "launchType" not in request


def test_configured_networks_must_be_of_the_vpc(credentials: AwsCredentials) -> None:
    ec2 = credentials.get_client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    with pytest.raises(AwsError, match="has no subnets"):
        request_of(prepared(job_of(vpc_id=vpc)), credentials)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    wanted = {"subnets": [subnet], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
    request = request_of(prepared(job_of(vpc_id=vpc, network_configuration=wanted)), credentials)
    assert request["networkConfiguration"] == {"awsvpcConfiguration": wanted}
    with pytest.raises(ValueError, match="subnet-foreign"):
        request_of(prepared(job_of(vpc_id=vpc, network_configuration={"subnets": ["subnet-foreign"]})), credentials)
    with pytest.raises(AwsError, match="vpc-none"):
        request_of(prepared(job_of(vpc_id="vpc-none")), credentials)


def test_tags_are_such_as_ecs_takes(credentials: AwsCredentials) -> None:
    job = prepared(job_of(labels={"team": "a & b <c>", "x" * 200: "y" * 300}, auto_deregister_task_definition=True))
    tags = {one["key"]: one["value"] for one in request_of(job, credentials)["tags"]}
    assert tags["team"] == "a - b -c"
    assert tags["x" * 128] == "y" * 256
    assert tags[DEREGISTER_TAG] == "true"


# --- the worker


def test_identifiers_have_two_parts() -> None:
    found = parse_identifier("arn:aws:ecs:r:1:cluster/c::arn:aws:ecs:r:1:task/c/id")
    assert found == ("arn:aws:ecs:r:1:cluster/c", "arn:aws:ecs:r:1:task/c/id")
    for wrong in ("", " ", "task", "::x", "x::"):
        with pytest.raises(ValueError, match="no identifier"):
            parse_identifier(wrong)


def test_keys_are_masked_for_the_log() -> None:
    def request(*pairs: tuple[str, str]) -> dict[str, Any]:
        return {"overrides": {"containerOverrides": [{"environment": [{"name": name, "value": value} for name, value in pairs]}]}}

    given = request(("HEADRACE_API_KEY", "pnu_1234567890"), ("A", "b"))
    assert mask_api_key(given) == request(("HEADRACE_API_KEY", "pnu_12***"), ("A", "b"))
    assert given == request(("HEADRACE_API_KEY", "pnu_1234567890"), ("A", "b"))
    assert mask_sensitive_env_values(request(("A", "secret")), ["A"]) == request(("A", "sec***"))


class Worker:
    """What `submit_job` and its like need of a worker, without one that works: a client that answers what it is told to."""

    def __init__(self) -> None:
        self.credentials = credentials_for("http://127.0.0.1:9", aws_access_key_id=uuid4().hex)
        self.stubber = Stubber(self.credentials.get_client("ecs"))
        self.job = job_of(task_definition_arn="arn:d", launch_type="EC2", cluster="c", aws_credentials=self.credentials)
        self.stubber.activate()
        self.worker = ECSWorker(work_pool_name="pool")

    def describes(self) -> None:
        definition = {"taskDefinitionArn": "arn:d", "containerDefinitions": [{"name": "headrace"}], "status": "ACTIVE"}
        self.stubber.add_response("describe_task_definition", {"taskDefinition": definition})


@pytest.mark.parametrize(
    ("reason", "is_busy"), [("RESOURCE:MEMORY", True), ("AGENT", True), ("Capacity is unavailable at this time.", True), ("MISSING", False)]
)
def test_a_task_without_a_place_is_asked_for_again(reason: str, is_busy: bool) -> None:
    fake = Worker()
    fake.describes()
    fake.stubber.add_response("run_task", {"tasks": [], "failures": [{"arn": "a", "reason": reason}]})
    with pytest.raises(AwsError, match="Failed to run ECS task") as raised:
        fake.worker.submit_job(fake.job, "token")
    assert isinstance(raised.value, TaskNotPlaced) is is_busy
    assert fake.worker.failure_of(raised.value) is (Failure.BUSY if is_busy else Failure.FINAL)


@pytest.mark.parametrize(
    ("code", "said", "advice", "failure"),
    [
        ("ClusterNotFoundException", "Cluster not found.", "no cluster of this name", Failure.FINAL),
        ("InvalidParameterException", "No Container Instances were found in your cluster.", "has no machines", Failure.FINAL),
        ("ClientException", "TaskDefinition is inactive", "was deregistered", Failure.FINAL),
        ("AccessDeniedException", "not authorized to perform iam:PassRole", "do not allow", Failure.FINAL),
        ("ThrottlingException", "Rate exceeded", "fewer requests", Failure.BUSY),
        ("ServerException", "Service Unavailable", "may have done it", Failure.UNKNOWN),
    ],
)
def test_refusals_say_what_to_do(code: str, said: str, advice: str, failure: Failure) -> None:
    fake = Worker()
    fake.describes()
    for _ in range(8):  # the SDK repeats some by itself
        fake.stubber.add_client_error("run_task", code, said, 400)
    with pytest.raises(AwsError, match=advice) as raised:
        fake.worker.submit_job(fake.job, "token")
    assert fake.worker.failure_of(raised.value) is failure


def test_the_log_shows_no_variable_that_may_be_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    fake = Worker()
    caplog.set_level(logging.DEBUG, fake.worker.get_logger().name)
    fake.job.env = {"HEADRACE_API_KEY": "pnu_1234567890", "DATABASE_PASSWORD": "hunter2", "WORD": "shown"}
    fake.describes()
    fake.stubber.add_response("run_task", {"tasks": [{"taskArn": "arn:task", "clusterArn": "arn:c"}]})
    assert fake.worker.submit_job(fake.job, "token") == "c::arn:task"
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Running a task")]
    assert "shown" in line
    assert "pnu_12***" in line
    assert "hunter2" not in caplog.text
    assert "pnu_1234567890" not in caplog.text


def test_a_task_that_another_request_with_the_token_made_is_adopted() -> None:
    fake = Worker()
    fake.describes()
    made = {"resourceIds": ["arn:aws:ecs:us-east-1:1:task/c/made"]}
    fake.stubber.add_client_error("run_task", "ConflictException", "clientToken", 400, modeled_fields=made)
    assert fake.worker.submit_job(fake.job, "token") == "c::arn:aws:ecs:us-east-1:1:task/c/made"


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ({"containers": [{"name": "sidecar", "exitCode": 1}, {"name": "headrace", "exitCode": 0}]}, 0),
        (
            {
                "containers": [{"name": "sidecar", "exitCode": 143}, {"name": "mine", "exitCode": 0}],
                "overrides": {"containerOverrides": [{"name": "mine"}]},
            },
            0,
        ),
        ({"containers": [{"name": "mine"}]}, None),
        ({"containers": []}, None),
    ],
)
def test_the_container_of_the_flow_tells_how_it_ended(task: dict[str, Any], code: int | None) -> None:
    fake = Worker()
    fake.stubber.add_response("describe_tasks", {"tasks": [{"lastStatus": "STOPPED", **task}]})
    assert fake.worker.poll_job("c::arn:task", fake.job).exit_code == code


def test_a_task_that_ecs_has_forgotten_is_gone() -> None:
    fake = Worker()
    fake.stubber.add_response("describe_tasks", {"tasks": [], "failures": [{"arn": "a", "reason": "MISSING"}]})
    with pytest.raises(InfrastructureNotFound, match="an hour ago"):
        fake.worker.stop_job("c::arn:task", fake.job, 30)
    fake.stubber.add_client_error("describe_tasks", "ClusterNotFoundException", "Cluster not found.", 400)
    with pytest.raises(InfrastructureNotFound, match="no cluster 'c'"):
        fake.worker.stop_job("c::arn:task", fake.job, 30)


# --- diagnosis


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({"stopCode": "TaskFailedToStart", "stoppedReason": "CannotPullContainerError: pull access denied"}, "image could not be pulled"),
        (
            {"stopCode": "TaskFailedToStart", "stoppedReason": "ResourceInitializationError: unable to pull secrets or registry auth"},
            "secret could not",
        ),
        ({"stopCode": "TaskFailedToStart", "stoppedReason": "Something new"}, "did not start. Something new."),
        ({"containers": [{"name": "a", "exitCode": 137, "reason": "OutOfMemoryError: Container killed"}]}, "more memory than it has"),
        ({"containers": [{"name": "a", "exitCode": 137}]}, "137 means"),
        ({"containers": [{"name": "a", "exitCode": 127}]}, "check `command`"),
        ({"containers": [{"name": "a", "exitCode": 3}], "stoppedReason": "Essential container in task exited"}, "'a' with 3. Its output tells why"),
        ({"stopCode": "SpotInterruption", "stoppedReason": "Your Spot Task was interrupted."}, "Spot capacity"),
    ],
)
def test_a_stopped_task_says_why(detail: dict[str, Any], words: str) -> None:
    assert words in str(diagnose_ecs_task({"lastStatus": "STOPPED", **detail}))


def test_tasks_that_are_well_have_no_diagnosis() -> None:
    assert diagnose_ecs_task({"lastStatus": "RUNNING", "containers": [{"exitCode": 3}]}) is None
    assert diagnose_ecs_task({"lastStatus": "STOPPED", "stopCode": "UserInitiated", "containers": [{"name": "a", "exitCode": 0}]}) is None


def test_a_definition_is_deregistered_after_its_task(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_for(moto).items():
        monkeypatch.setenv(name, value)
    own = AwsCredentials()
    ecs = own.get_client("ecs")
    ecs.create_cluster(clusterName="cleaned")
    job = prepared(job_of(family=f"f-{uuid4().hex}", image="i", cluster="cleaned", auto_deregister_task_definition=True, aws_credentials=own))
    job.task_definition["containerDefinitions"][0] |= {"cpu": 256, "memory": 512}  # moto does not take those of the task
    worker = ECSWorker(work_pool_name="pool")
    identifier = worker.submit_job(job, "token")
    task = parse_identifier(identifier)
    assert worker.find_job(job, "token") == identifier
    arn = ecs.describe_tasks(cluster="cleaned", tasks=[task.task_arn])["tasks"][0]["taskDefinitionArn"]
    for _ in range(2):  # the observer may have done it
        worker.clean_up(identifier, job)
    assert ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"] == "INACTIVE"
