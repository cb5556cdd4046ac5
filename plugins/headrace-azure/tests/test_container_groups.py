"""Container groups: what a configuration makes of them, how they stand at odd moments, and what is read of their logs."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from azure.mgmt.containerinstance.models import ContainerGroup

from headrace import flow
from headrace.client.orchestration import get_client
from headrace.exceptions import InfrastructureNotFound
from headrace.states import Pending
from headrace.testing.containers import REGISTRY_PASSWORD, REGISTRY_USER, DockerEngine
from headrace.testing.end_to_end import until
from headrace.workers.remote import Failure
from headrace_azure import AzureContainerInstanceCredentials, AzureContainerWorker
from headrace_azure.errors import AzureError
from headrace_azure.workers.container_instance import AzureContainerJobConfiguration, new_lines

from .entra import Entra
from .resource_manager import GROUP, SUBSCRIPTION, VAULT, ResourceManager

IDENTITY = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller"
SUBNET = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/virtualNetworks/net/subnets/runs"

Configure = Callable[..., AzureContainerJobConfiguration]


@flow(name="Nightly: Ångström + Co.")
def nightly() -> None:
    pass


@pytest.fixture
def configure() -> Configure:
    """Make the configuration of a run from job variables, as a worker does."""

    def make(template: dict[str, Any] | None = None, **variables: Any) -> AzureContainerJobConfiguration:
        values = {"resource_group_name": GROUP, "subscription_id": SUBSCRIPTION, **variables}
        template = template or AzureContainerWorker.get_default_base_job_template()
        found = asyncio.run(AzureContainerJobConfiguration.from_template_and_values(template, values))
        with get_client(sync_client=True) as client:
            run = client.create_flow_run(nightly, state=Pending())
            found.prepare_for_flow_run(run, flow=client.read_flow(run.flow_id), worker_name="one")
        return found

    return make


@pytest.fixture
def on_docker(configure: Configure, arm: ResourceManager, aci_variables: dict[str, Any], docker_engine: DockerEngine) -> Configure:
    """Likewise, for runs in containers that are real."""
    return lambda **variables: configure(**{**aci_variables, "image": docker_engine.busybox_image(), **variables})


def group_of(job: AzureContainerJobConfiguration) -> ContainerGroup:
    """Return the container group that a configuration asks for, as Azure's SDK reads it: what it does not know is left out."""
    made = job.group_template(job.identifier.partition(":")[2])
    return ContainerGroup.deserialize(made.group)


# --- what is asked for


def test_a_group_is_named_after_flow_and_run(configure: Configure) -> None:
    job = configure()
    run, _, name = job.identifier.partition(":")
    assert name == f"nightly-ngstr-m-co-{run}"
    made = job.group_template(name)
    assert {made.parameters[one]["value"] for one in ("container_group_name", "container_name")} == {name}
    group = group_of(job)
    assert (group.os_type, group.restart_policy, [one.name for one in group.containers]) == ("Linux", "Never", [name])
    assert group.tags["prefect.io-flow-run-id"] == run


def test_resources_networks_and_identities_reach_the_group(configure: Configure) -> None:
    group = group_of(
        configure(cpu=2, memory=3.5, gpu_count=2, gpu_sku="V100", subnet_ids=[SUBNET], dns_servers=["10.0.0.4", "10.0.0.5"], identities=[IDENTITY])
    )
    asked = group.containers[0].resources.requests
    assert (asked.cpu, asked.memory_in_gb, asked.gpu.count, asked.gpu.sku) == (2, 3.5, 2, "V100")
    assert [one.id for one in group.subnet_ids] == [SUBNET]
    assert group.dns_config.name_servers == ["10.0.0.4", "10.0.0.5"]
    assert (group.identity.type, list(group.identity.user_assigned_identities)) == ("UserAssigned", [IDENTITY])


def test_what_is_not_configured_is_not_asked_for(configure: Configure) -> None:
    group = group_of(configure())
    found = (group.containers[0].resources.requests.gpu, group.subnet_ids, group.dns_config, group.identity, group.image_registry_credentials)
    assert found == (None, None, None, None, None)


@pytest.mark.parametrize("given", [{"gpu_count": 1}, {"gpu_sku": "V100"}])
def test_gpus_are_wanted_by_number_and_kind(configure: Configure, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="both gpu_count and gpu_sku"):
        group_of(configure(**given))


def test_a_managed_identity_pulls_the_image_and_is_the_groups_own(configure: Configure) -> None:
    group = group_of(configure(image_registry={"registry_url": "https://ours.azurecr.io/", "identity": IDENTITY}, identities=["/other"]))
    (login,) = group.image_registry_credentials
    assert (login.server, login.identity, login.username, login.password) == ("ours.azurecr.io", IDENTITY, None, None)
    assert list(group.identity.user_assigned_identities) == ["/other", IDENTITY]


def test_logins_may_be_blocks_that_are_chosen_in_the_pool(configure: Configure) -> None:
    login = AzureContainerInstanceCredentials.model_validate({"tenant_id": "t", "client_id": "c", "client_secret": "very-private"})
    job = configure(aci_credentials={"$ref": {"block_document_id": str(login.save("worker"))}})
    assert job.aci_credentials.client_secret == login.client_secret
    assert "very-private" not in repr(job)
    definitions = AzureContainerWorker.get_default_base_job_template()["variables"]["definitions"]
    slugs = {name: one.get("block_type_slug") for name, one in definitions.items()}
    assert slugs == {
        "AzureContainerInstanceCredentials": "azure-container-instance-credentials",
        "DockerRegistry": "docker-registry-credentials",
        "ACRManagedIdentity": None,
    }


def test_a_registrys_password_is_a_secure_parameter(configure: Configure) -> None:
    job = configure(image_registry={"registry_url": "https://ours.azurecr.io", "username": "robot", "password": "very-private", "reauth": True})
    made = job.group_template("group")
    (login,) = ContainerGroup.deserialize(made.group).image_registry_credentials
    assert (login.server, login.username) == ("ours.azurecr.io", "robot")
    name = login.password.removeprefix("[parameters('").removesuffix("')]")
    assert made.template["parameters"][name] == {"type": "secureString"}
    assert made.parameters[name] == {"value": "very-private"}
    assert "very-private" not in f"{job!r} {made!r} {json.dumps(made.template)}"


def test_secrets_of_the_environment_are_secure_values(configure: Configure) -> None:
    secret = f"{VAULT}/secrets/password/3"
    job = configure(env={"WORD": "[x]", "HEADRACE_API_KEY": "key-of-the-api", "MY_TOKEN": "[odd]"}, secret_env={"PASSWORD": secret})
    made = job.group_template("group")
    variables = {one.name: one for one in ContainerGroup.deserialize(made.group).containers[0].environment_variables}
    assert variables["WORD"].value == "[[x]"  # as it is: in single brackets it would be an expression
    for name, given in {
        "HEADRACE_API_KEY": {"value": "key-of-the-api"},
        "MY_TOKEN": {"value": "[odd]"},
        "PASSWORD": {"reference": {"keyVault": {"id": VAULT}, "secretName": "password", "secretVersion": "3"}},
    }.items():
        parameter = variables[name].secure_value.removeprefix("[parameters('").removesuffix("')]")
        assert (variables[name].value, made.parameters[parameter]) == (None, given)
    assert "key-of-the-api" not in f"{job!r} {made!r} {json.dumps(made.template)}"


def test_a_template_of_the_users_own_is_kept(configure: Configure) -> None:
    template = AzureContainerWorker.get_default_base_job_template()
    (resource,) = template["job_configuration"]["arm_template"]["resources"]
    resource["tags"] = {"team": "data", "prefect.io-worker-name": "mine"}
    (container,) = resource["properties"]["containers"]
    container["properties"] |= {
        "image": "ours/fixed:1",
        "environmentVariables": [{"name": "REGION", "value": "north"}, {"name": "WORD", "value": "a"}],
    }
    resource["properties"]["containers"].append({"name": "sidecar", "properties": {"image": "proxy:1"}})
    group = group_of(configure(template, image="other:1", env={"WORD": "b"}, entrypoint="/opt/start.sh --fast"))
    first, second = group.containers
    assert (first.image, second.image, second.name) == ("ours/fixed:1", "proxy:1", "sidecar")
    values = {one.name: one.value for one in first.environment_variables}
    assert (values["REGION"], values["WORD"]) == ("north", "b")
    assert first.command[:2] == ["/opt/start.sh", "--fast"]
    assert (group.tags["team"], group.tags["prefect.io-worker-name"]) == ("data", "mine")


def test_a_template_without_a_group_is_refused(configure: Configure) -> None:
    template = AzureContainerWorker.get_default_base_job_template()
    template["job_configuration"]["arm_template"]["resources"] = []
    with pytest.raises(ValueError, match="base job template"):
        group_of(configure(template))


# --- registries


@pytest.fixture
def private_image(docker_engine: DockerEngine, arm: ResourceManager, private_docker_registry: str) -> str:
    """Give an image that is in a private registry alone."""
    name = f"{private_docker_registry}/team/runs"
    arm.docker.images.get(docker_engine.busybox_image()).tag(name, "1")
    login = {"username": REGISTRY_USER, "password": REGISTRY_PASSWORD}
    for line in arm.docker.images.push(name, "1", auth_config=login, stream=True, decode=True):
        assert "error" not in line, line
    arm.docker.images.remove(f"{name}:1")
    return f"{name}:1"


def test_an_image_of_a_private_registry_runs(on_docker: Configure, private_image: str, private_docker_registry: str) -> None:
    login = {"username": REGISTRY_USER, "password": REGISTRY_PASSWORD, "registry_url": f"http://{private_docker_registry}"}
    status = ran(on_docker(image=private_image, image_registry=login, command="sh -c 'exit 5'"))
    assert (status.phase, status.exit_code) == ("ended", 5)


def test_a_login_that_a_registry_refuses_is_told(on_docker: Configure, private_image: str, private_docker_registry: str) -> None:
    login = {"username": REGISTRY_USER, "password": "not-the-one", "registry_url": private_docker_registry}
    status = ran(on_docker(image=private_image, image_registry=login))
    assert (status.phase, status.exit_code) == ("ended", None)
    assert "InaccessibleImage" in status.message
    assert "not-the-one" not in status.message


def ran(job: AzureContainerJobConfiguration) -> Any:
    worker = AzureContainerWorker("pool")
    identifier = worker.submit_job(job, job.token)
    return until(lambda: status if (status := worker.poll_job(identifier, job)).phase == "ended" else None)


# --- odd moments


def test_a_deployment_whose_answer_is_lost_is_made_once(on_docker: Configure, arm: ResourceManager) -> None:
    arm.answers_lost, worker, job = 1, AzureContainerWorker("pool"), on_docker(command="true")
    with pytest.raises(AzureError, match="may have done it all the same") as caught:
        worker.submit_job(job, job.token)
    assert worker.failure_of(caught.value) is Failure.UNKNOWN
    assert len([one for one in arm.asked if one.startswith("PUT")]) == 1
    assert worker.find_job(job, job.token) == job.identifier
    assert worker.find_job(job, "another") is None


def test_a_group_that_comes_about_between_two_questions_is_not_gone(on_docker: Configure, arm: ResourceManager) -> None:
    arm.stuck, worker, job = True, AzureContainerWorker("pool"), on_docker(command="sleep 100")
    identifier = worker.submit_job(job, job.token)
    assert worker.poll_job(identifier, job).phase == "pending"
    arm.when_asked = arm.finish
    assert worker.poll_job(identifier, job).phase == "running"


def test_a_group_that_comes_about_while_it_is_stopped_is_removed(on_docker: Configure, arm: ResourceManager) -> None:
    arm.stuck, worker, job = True, AzureContainerWorker("pool"), on_docker(command="sleep 100")
    identifier = worker.submit_job(job, job.token)
    cancelled: list[str] = []

    def asked(name: str) -> None:
        if cancelled:
            arm.finish(name)  # the second time it is asked is when it is cancelled
        cancelled.append(name)

    arm.when_asked = asked
    worker.stop_job(identifier, job, 30)
    assert len(cancelled) == 2
    assert not arm.groups
    with pytest.raises(InfrastructureNotFound, match="no container group"):
        worker.stop_job(identifier, job, 30)


def test_a_kept_group_is_stopped_and_stays(on_docker: Configure, arm: ResourceManager) -> None:
    worker, job = AzureContainerWorker("pool"), on_docker(command="sh -c 'echo here; exec sleep 100'", keep_container_group=True)
    identifier = worker.submit_job(job, job.token)
    until(lambda: worker.poll_job(identifier, job).phase == "running")
    worker.stop_job(identifier, job, 30)
    assert worker.poll_job(identifier, job).exit_code == 137
    with pytest.raises(InfrastructureNotFound, match="has ended already"):
        worker.stop_job(identifier, job, 30)
    worker.clean_up(identifier, job)
    assert worker.read_logs(identifier, job, None).lines == ["here"]
    assert list(arm.groups) == [identifier.partition(":")[2]]


def test_an_identifier_that_is_none_is_refused(on_docker: Configure) -> None:
    job = on_docker()
    for wrong in ("group", ":group", "run:", "a:b:c"):
        with pytest.raises(ValueError, match="<flow run id>:<container group>"):
            AzureContainerWorker("pool").stop_job(wrong, job, 30)


def test_what_is_missing_or_forbidden_is_told(on_docker: Configure) -> None:
    worker = AzureContainerWorker("pool")
    for given, said in (
        ({"resource_group_name": "nowhere"}, "Resource group 'nowhere' could not be found.*Check the name"),
        ({"resource_group_name": "not-ours"}, "does not have authorization.*role"),
        ({"subscription_id": "no-such"}, "could not be found"),
        ({"secret_env": {"PASSWORD": f"{VAULT}/secrets/none"}}, "cannot be retrieved"),
    ):
        job = on_docker(**given)
        with pytest.raises(AzureError, match=said):
            worker.submit_job(job, job.token)


def test_an_authority_that_is_away_is_waited_for_and_told(on_docker: Configure, authority: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, impatient = AzureContainerWorker("pool"), {**authority.principal, "credential_kwargs": {"retry_total": 0}}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_CONNECTION_TIMEOUT_SECONDS", "1")  # it counts until TLS is spoken
        for port in (9, silent.getsockname()[1]):
            monkeypatch.setenv("HEADRACE_INTEGRATIONS_AZURE_AUTHORITY", f"https://127.0.0.1:{port}")
            job = on_docker(aci_credentials=impatient)
            with pytest.raises(AzureError, match="whether this machine may reach it") as caught:
                worker.submit_job(job, job.token)
            assert worker.failure_of(caught.value) is Failure.BUSY


# --- logs


def test_lines_of_a_log_come_once_and_in_order() -> None:
    written = "2024-05-01T10:00:00.1Z one\n2024-05-01T10:00:00.12Z two\n2024-05-01T10:00:00.12Z three\n"
    first = new_lines(written, None)
    assert first.lines == ["one", "two", "three"]
    more = written + "2024-05-01T10:00:00.12Z four\n2024-05-01T10:00:00.123Z five\n2024-05-01T10:00:01Z six\nsix and a half\n"
    second = new_lines(more, first.after)
    assert second.lines == ["four", "five", "six", "six and a half"]
    assert new_lines(more, second.after).lines == []
