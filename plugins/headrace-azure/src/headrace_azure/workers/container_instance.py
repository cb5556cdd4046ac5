"""The worker for Azure Container Instances: each run in a container group of its own.

    headrace worker start --pool 'my-work-pool' --type azure-container-instance

A group is made by an ARM template, which can be changed in the work pool's base job template.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field, PrivateAttr, SecretStr

import headrace
from headrace.exceptions import InfrastructureNotFound
from headrace.workers.base import BaseWorkerResult
from headrace.workers.remote import Failure, JobLogs, JobStatus, LabelRules, RemoteJobConfiguration, RemoteJobVariables, RemoteJobWorker
from headrace_azure.container_instance import ACRManagedIdentity, ContainerGroupProvisioningState, ContainerRunState, DockerRegistry
from headrace_azure.credentials import AzureContainerInstanceCredentials
from headrace_azure.errors import AzureError, Sort, code_of, explaining, meaning_of
from headrace_azure.workers.arm_template import GroupTemplate, default_template

__all__ = [
    "ACRManagedIdentity",
    "AzureContainerJobConfiguration",
    "AzureContainerVariables",
    "AzureContainerWorker",
    "AzureContainerWorkerResult",
    "ContainerGroupProvisioningState",
    "ContainerRunState",
    "DockerRegistry",
]

TOKEN_TAG = "headrace-job-token"
"""The tag by which a deployment is known whose making was answered to nobody."""
REMOVE_SECONDS_MAX = 30
"""How long a container group may take to be removed before that is a warning; Azure goes on with it."""
ACI_DEFAULT_CPU = 1.0
ACI_DEFAULT_MEMORY = 1.0
_NAME_SIZE = 55
"""Of a container group's name, so that its deployment's, which is longer, has no more than Azure's 64 characters."""
_TAG_RULES = LabelRules("A-Za-z0-9_.-", "A-Za-z0-9_./:@ -", key_size=512, value_size=256, count=40)
"""What Azure takes as tags ("Use tags to organize your Azure resources", limitations)."""
_DEPLOYING = ("accepted", "running", "created", "creating", "updating", "ready", "notspecified")
_TIME = re.compile(r"(?P<seconds>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?(?:Z|\+00:00) ?")
"""What a line of a container's log begins with."""

_TEXTS = {
    "image": "The image to use. Default: headrace's own of the worker's version, `headrace:<version>`, which has to be in a registry.",
    "resource_group_name": "The name of the resource group in which container groups are made.",
    "subscription_id": "The subscription with that resource group.",
    "identities": "User-assigned managed identities of the container group: /subscriptions/…/userAssignedIdentities/….",
    "entrypoint": "What goes before the command, as /opt/my/entrypoint.sh. The image's own entrypoint is not used by Azure. Default: nothing.",
    "image_registry": "How to log in to the registry of an image: a block of type docker-registry-credentials, or a managed identity.",
    "cpu": "The number of virtual CPUs.",
    "gpu_count": "The number of GPUs; needs gpu_sku.",
    "gpu_sku": "The kind of GPU, as V100; needs gpu_count.",
    "memory": "The memory in gigabytes.",
    "subnet_ids": "Subnets to which the group is connected: /subscriptions/…/subnets/….",
    "dns_servers": "Addresses of DNS servers that containers use.",
    "aci_credentials": "How to log in to Azure; by default what DefaultAzureCredential finds where the worker runs.",
    "stream_output": "Whether the container's output is shown on the worker's own.",
    "task_start_timeout_seconds": "How long a container may take to start, in seconds; then it is removed and the run crashed.",
    "task_watch_poll_interval": "How often a container is asked after, in seconds.",
    "keep_container_group": "Whether the container group is kept when the run has ended, stopped, for a look at it.",
    "secret_env": (
        "Environment variables that Azure takes from a Key Vault: the variable's name, and the secret's address, as /subscriptions/…/resourceGroups/…"
        "/providers/Microsoft.KeyVault/vaults/my-vault/secrets/my-secret."
    ),
}


def default_image() -> str:
    """Return the image of runs for which none is configured: headrace's own of this version."""
    return f"headrace:{headrace.__version__}"


class AzureContainerJobConfiguration(RemoteJobConfiguration):
    """Configuration for an Azure Container Instance flow run."""

    image: str = Field(default_factory=default_image, description=_TEXTS["image"])
    resource_group_name: str = Field(description=_TEXTS["resource_group_name"])
    subscription_id: SecretStr = Field(description=_TEXTS["subscription_id"])
    identities: list[str] | None = Field(default=None, description=_TEXTS["identities"])
    entrypoint: str | None = Field(default=None, description=_TEXTS["entrypoint"])
    image_registry: DockerRegistry | ACRManagedIdentity | None = Field(default=None, description=_TEXTS["image_registry"])
    cpu: float = Field(default=ACI_DEFAULT_CPU, gt=0, description=_TEXTS["cpu"])
    gpu_count: int | None = Field(default=None, ge=1, description=_TEXTS["gpu_count"])
    gpu_sku: str | None = Field(default=None, description=_TEXTS["gpu_sku"])
    memory: float = Field(default=ACI_DEFAULT_MEMORY, gt=0, description=_TEXTS["memory"])
    subnet_ids: list[str] | None = Field(default=None, description=_TEXTS["subnet_ids"])
    dns_servers: list[str] | None = Field(default=None, description=_TEXTS["dns_servers"])
    stream_output: bool = Field(default=False, description=_TEXTS["stream_output"])
    aci_credentials: AzureContainerInstanceCredentials = Field(
        default_factory=AzureContainerInstanceCredentials, description=_TEXTS["aci_credentials"]
    )
    task_start_timeout_seconds: int = Field(default=240, ge=1, description=_TEXTS["task_start_timeout_seconds"])
    task_watch_poll_interval: float = Field(default=5.0, gt=0, description=_TEXTS["task_watch_poll_interval"])
    arm_template: dict[str, Any] = Field(
        default_factory=default_template,
        description="The ARM template by which the container group is made; its first container runs the flow.",
        json_schema_extra={"template": default_template()},
    )
    keep_container_group: bool = Field(default=False, description=_TEXTS["keep_container_group"])

    _identifier: str = PrivateAttr(default="")

    @property
    def identifier(self) -> str:
        """What the run's container group is known by: `<flow run id>:<container group>`."""
        return self._identifier

    def prepare_for_flow_run(
        self,
        flow_run: Any,
        deployment: Any = None,
        flow: Any = None,
        work_pool: Any = None,
        worker_name: str | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """See `BaseJobConfiguration.prepare_for_flow_run`; labels become tags that Azure takes, and the container group gets its name."""
        super().prepare_for_flow_run(flow_run, deployment, flow, work_pool, worker_name, worker_id)
        self.labels = _TAG_RULES.fit(self.labels)
        called = flow.name if flow is not None else (self.name or "")
        slug = re.sub(r"[^a-z0-9]+", "-", called.lower())[: _NAME_SIZE - len(str(flow_run.id)) - 1].strip("-")
        self._identifier = f"{flow_run.id}:{slug or 'flow'}-{flow_run.id}"

    def group_template(self, name: str) -> GroupTemplate:
        """Return the template with all that the configuration says. Raises `ValueError` for what does not fit together."""
        made = GroupTemplate(self.arm_template)
        made.name(name)
        made.tag(self.labels)
        made.container["image"] = made.container.get("image") or self.image
        made.container["command"] = [*shlex.split(self.entrypoint or ""), *shlex.split(self.command or "")]
        secure = {name: made.secret(name, value) for name, value in self.environment.secure.items()}
        secure |= {name: made.key_vault_secret(name, address) for name, address in self.environment.references.items()}
        made.environment(self.environment.plain, secure)
        identities = list(self.identities or [])
        if isinstance(self.image_registry, ACRManagedIdentity):
            registry = {"server": _host(self.image_registry.registry_url), "identity": self.image_registry.identity}
            identities += [self.image_registry.identity] if self.image_registry.identity not in identities else []
            made.properties["imageRegistryCredentials"] = [registry]
        elif self.image_registry is not None:
            password = made.secret("registry_password", self.image_registry.password.get_secret_value())
            registry = {"server": _host(self.image_registry.registry_url), "username": self.image_registry.username, "password": password}
            made.properties["imageRegistryCredentials"] = [registry]
        made.identities(identities)
        if self.subnet_ids:
            made.properties["subnetIds"] = [{"id": one} for one in self.subnet_ids]
        if self.dns_servers:
            made.properties["dnsConfig"] = {"nameServers": self.dns_servers}
        if bool(self.gpu_count) != bool(self.gpu_sku):
            raise ValueError("A container with GPUs needs both gpu_count and gpu_sku, and one of them is missing.")
        if self.gpu_count:
            requests = made.container.setdefault("resources", {}).setdefault("requests", {})
            requests["gpu"] = {"count": self.gpu_count, "sku": self.gpu_sku}
        return made


class AzureContainerVariables(RemoteJobVariables):
    """Variables for an Azure Container Instance flow run."""

    secret_env: dict[str, str] = Field(default_factory=dict, title="Secret Environment Variables", description=_TEXTS["secret_env"])
    image: str | None = Field(default=None, description=_TEXTS["image"])
    resource_group_name: str = Field(title="Azure Resource Group Name", description=_TEXTS["resource_group_name"])
    subscription_id: SecretStr = Field(title="Azure Subscription ID", description=_TEXTS["subscription_id"])
    identities: list[str] | None = Field(default=None, description=_TEXTS["identities"])
    entrypoint: str | None = Field(default=None, description=_TEXTS["entrypoint"])
    image_registry: DockerRegistry | ACRManagedIdentity | None = Field(
        default=None, title="Image Registry (Optional)", description=_TEXTS["image_registry"]
    )
    cpu: float = Field(default=ACI_DEFAULT_CPU, title="CPU", gt=0, description=_TEXTS["cpu"])
    gpu_count: int | None = Field(default=None, title="GPU Count", ge=1, description=_TEXTS["gpu_count"])
    gpu_sku: str | None = Field(default=None, title="GPU SKU", description=_TEXTS["gpu_sku"])
    memory: float = Field(default=ACI_DEFAULT_MEMORY, gt=0, description=_TEXTS["memory"])
    subnet_ids: list[str] | None = Field(default=None, title="Subnet IDs", description=_TEXTS["subnet_ids"])
    dns_servers: list[str] | None = Field(default=None, title="DNS Servers", description=_TEXTS["dns_servers"])
    aci_credentials: AzureContainerInstanceCredentials = Field(
        default_factory=AzureContainerInstanceCredentials, description=_TEXTS["aci_credentials"]
    )
    stream_output: bool = Field(default=False, description=_TEXTS["stream_output"])
    task_start_timeout_seconds: int = Field(default=240, ge=1, description=_TEXTS["task_start_timeout_seconds"])
    task_watch_poll_interval: float = Field(default=5.0, gt=0, description=_TEXTS["task_watch_poll_interval"])
    keep_container_group: bool = Field(default=False, title="Keep Container Group After Completion", description=_TEXTS["keep_container_group"])


class AzureContainerWorkerResult(BaseWorkerResult):
    """A run's container group, and its exit status."""


class AzureContainerWorker(RemoteJobWorker[AzureContainerJobConfiguration, AzureContainerVariables, AzureContainerWorkerResult]):
    """Run flows in Azure Container Instances. A container group is known by `<flow run id>:<container group>`."""

    type = "azure-container-instance"
    job_configuration: ClassVar[Any] = AzureContainerJobConfiguration
    job_configuration_variables: ClassVar[Any] = AzureContainerVariables
    result_class: ClassVar[Any] = AzureContainerWorkerResult
    submit_tries: int = 6
    """Half a minute in all: Azure Resource Manager that is asked too often wants to be left alone for a while."""

    _display_name: ClassVar[str] = "Azure Container Instances"
    _description: ClassVar[str] = "Runs each flow run in a container group of Azure Container Instances. Needs an Azure account."

    # --- what `RemoteJobWorker` asks for

    def submit_job(self, job: AzureContainerJobConfiguration, token: str) -> str:
        """Deploy the template; Azure makes the container group by and by. What an earlier try of the run left is removed first."""
        group = parsed_identifier(job.identifier)
        made = job.group_template(group)
        with explaining(f"The container group {group} cannot be made in the resource group {job.resource_group_name!r}", job):
            if self._group(job, group) is not None:
                self._remove(job, group)
            properties = {"mode": "Incremental", "template": made.template, "parameters": made.parameters}
            wanted = {"properties": properties, "tags": {**job.labels, TOKEN_TAG: token}}
            options = {"polling": False, "retry_total": 0}  # a deployment that is made twice runs the container twice: core looks before it leaps
            self._deployments(job).begin_create_or_update(job.resource_group_name, _deployment(group), wanted, **options)
        return job.identifier

    def find_job(self, job: AzureContainerJobConfiguration, token: str) -> str | None:
        """Find the deployment by its name and token."""
        found = self._deployment(job, parsed_identifier(job.identifier))
        is_ours = found is not None and (found.tags or {}).get(TOKEN_TAG) == token
        return job.identifier if is_ours and _state(found) not in ("failed", "canceled") else None

    def poll_job(self, identifier: str, job: AzureContainerJobConfiguration) -> JobStatus:
        """Read the container's state; before there is one, the deployment's."""
        name = parsed_identifier(identifier)
        with explaining(f"The container group {name} cannot be asked after", job):
            group = self._group(job, name)
            if group is None:
                state = self._deploying(job, name)
                if state is not None:
                    return state
                group = self._group(job, name)  # by now, perhaps: a deployment that has ended since has made it
            if group is None:
                raise InfrastructureNotFound(f"The container group {name} is gone from the resource group {job.resource_group_name!r}.")
        view = _container(group, name).instance_view
        state = view.current_state if view is not None else None
        if state is not None and state.state == ContainerRunState.TERMINATED:
            return JobStatus.ended(state.exit_code, " ".join(word for word in (state.detail_status, _events(group)) if word))
        if state is not None and state.state == ContainerRunState.RUNNING:
            return JobStatus.running()
        if group.provisioning_state == ContainerGroupProvisioningState.FAILED:
            return JobStatus.ended(None, f"Azure could not make the container group. {_events(group)}".strip())
        detail = state.detail_status if state is not None else None
        return JobStatus.pending(" ".join(word for word in (detail or "Azure makes the container group", _warning(group)) if word))

    def stop_job(self, identifier: str, job: AzureContainerJobConfiguration, grace_seconds: int) -> None:
        """Remove the container group, or stop it where it is to be kept; Azure has its own grace."""
        name = parsed_identifier(identifier)
        with explaining(f"The container group {name} cannot be stopped", job):
            deployment = self._deployment(job, name)
            is_deploying = deployment is not None and _state(deployment) in _DEPLOYING
            if is_deploying:
                self._cancel(job, name)
            found = self._group(job, name)  # only now: it may have come about before the deployment was cancelled
            if found is None:
                if is_deploying:
                    return
                raise InfrastructureNotFound(f"There is no container group {name} in the resource group {job.resource_group_name!r}.")
            if not job.keep_container_group:
                self._groups(job).begin_delete(job.resource_group_name, name, polling=False)
            elif _is_over(found, name):
                raise InfrastructureNotFound(f"The container group {name} has ended already.")
            else:
                self._groups(job).stop(job.resource_group_name, name)

    def read_logs(self, identifier: str, job: AzureContainerJobConfiguration, after: str | None) -> JobLogs:
        """Return the lines behind `after`, which is the time of the last line and how many had that time."""
        name = parsed_identifier(identifier)
        group = self._group(job, name)
        if group is None:
            return JobLogs()
        client = job.aci_credentials.get_container_client(job.subscription_id.get_secret_value())
        container = _container(group, name).name
        written = client.containers.list_logs(job.resource_group_name, name, container, timestamps=True).content or ""
        return new_lines(written, after)

    def clean_up(self, identifier: str, job: AzureContainerJobConfiguration) -> None:
        """Remove the container group, unless it is to be kept."""
        name = parsed_identifier(identifier)
        with explaining(f"The container group {name} cannot be removed", job):
            if job.keep_container_group:
                found = self._group(job, name)
                if found is not None and not _is_over(found, name):
                    self._groups(job).stop(job.resource_group_name, name)
            else:
                self._remove(job, name)

    def failure_of(self, error: Exception) -> Failure:
        """See `RemoteJobWorker.failure_of`."""
        cause = error.__cause__ if isinstance(error, AzureError) and error.__cause__ is not None else error
        meaning = meaning_of(cause)
        if meaning is None:
            return super().failure_of(error)
        if code_of(cause) == "DeploymentActive":  # the SDK asks again by itself, and the first time had been heard
            return Failure.UNKNOWN
        if meaning.sort in (Sort.BUSY, Sort.UNREACHABLE):
            return Failure.BUSY
        return Failure.UNKNOWN if meaning.sort in (Sort.LOST, Sort.FAULTY) else Failure.FINAL

    def poll_seconds(self, job: AzureContainerJobConfiguration) -> float:
        """See `RemoteJobWorker.poll_seconds`."""
        return job.task_watch_poll_interval

    def start_timeout_seconds(self, job: AzureContainerJobConfiguration) -> float | None:
        """See `RemoteJobWorker.start_timeout_seconds`."""
        return job.task_start_timeout_seconds

    def streams_output(self, job: AzureContainerJobConfiguration) -> bool:
        """See `RemoteJobWorker.streams_output`."""
        return job.stream_output

    # --- Azure

    def _groups(self, job: AzureContainerJobConfiguration) -> Any:
        return job.aci_credentials.get_container_client(job.subscription_id.get_secret_value()).container_groups

    def _deployments(self, job: AzureContainerJobConfiguration) -> Any:
        return job.aci_credentials.get_resource_client(job.subscription_id.get_secret_value()).deployments

    def _group(self, job: AzureContainerJobConfiguration, name: str) -> Any:
        """Return a container group, or None when there is none."""
        return _if_there(self._groups(job).get, job.resource_group_name, name)

    def _deployment(self, job: AzureContainerJobConfiguration, name: str) -> Any:
        """Return the deployment that makes a container group, or None when there is none."""
        return _if_there(self._deployments(job).get, job.resource_group_name, _deployment(name))

    def _deploying(self, job: AzureContainerJobConfiguration, name: str) -> JobStatus | None:
        """Say how far a container group is that is not there as yet, or why it never will be; None when no deployment makes it any more."""
        found = self._deployment(job, name)
        if found is not None and _state(found) in _DEPLOYING:
            return JobStatus.pending("Azure deploys the container group")
        if found is not None and _state(found) == "failed":
            return JobStatus.ended(None, f"Azure did not make the container group: {_reasons(found.properties.error)}")
        return None

    def _cancel(self, job: AzureContainerJobConfiguration, name: str) -> None:
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        try:
            self._deployments(job).cancel(job.resource_group_name, _deployment(name))
        except (ResourceExistsError, ResourceNotFoundError):  # it came to its end meanwhile
            return

    def _remove(self, job: AzureContainerJobConfiguration, name: str) -> None:
        poller = self._groups(job).begin_delete(job.resource_group_name, name)
        poller.wait(REMOVE_SECONDS_MAX)
        if not poller.done():
            raise AzureError(f"The container group {name} is still there after {REMOVE_SECONDS_MAX} seconds. Azure goes on to remove it.")


def parsed_identifier(identifier: str) -> str:
    """Return the name of the container group of an identifier. Raises `ValueError` when it is none."""
    run, colon, name = identifier.partition(":")
    if not colon or not run or not name or ":" in name:
        raise ValueError(f"{identifier!r} is no container group of a run: those are like <flow run id>:<container group>.")
    return name


def new_lines(written: str, after: str | None) -> JobLogs:
    """Return the lines of a log, each of which begins with its time, behind `after`: a time, and how many lines of that time are known."""
    last, _, count = (after or "").partition(" ")
    known = int(count or 0)
    seen: dict[str, int] = {}
    lines: list[str] = []
    moment = ""
    for line in written.splitlines():
        time = _TIME.match(line)
        text = line if time is None else line[time.end() :]
        if time is not None:
            moment = f"{time['seconds']}.{time['fraction'] or '':0<9}"  # some leave out zeros at the end, and moments are compared as texts
        seen[moment] = seen.get(moment, 0) + 1
        if moment > last or (moment == last and seen[moment] > known):
            lines.append(text)
    if moment and moment >= last:
        after = f"{moment} {seen[moment]}"
    return JobLogs(lines, after)


def _host(url: str) -> str:
    """Return a registry as Azure has it, without what addresses begin and end with."""
    return re.sub(r"^https?://", "", url).rstrip("/")


def _deployment(group: str) -> str:
    return f"headrace-{group}"


def _if_there(get: Any, *arguments: Any) -> Any:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return get(*arguments)
    except ResourceNotFoundError as error:
        if code_of(error) in ("ResourceGroupNotFound", "SubscriptionNotFound"):
            raise
        return None


def _state(deployment: Any) -> str:
    return str(deployment.properties.provisioning_state or "").rpartition(".")[2].lower()


def _container(group: Any, name: str) -> Any:
    return next((one for one in group.containers if one.name == name), group.containers[0])


def _is_over(group: Any, name: str) -> bool:
    view = _container(group, name).instance_view
    return view is not None and view.current_state is not None and view.current_state.state == ContainerRunState.TERMINATED


def _events(group: Any) -> str:
    """Return what Azure tells that went wrong with a group, newest last, each once."""
    views = [group.instance_view, *(one.instance_view for one in group.containers)]
    events = [event for view in views if view is not None for event in view.events or []]
    return " ".join(dict.fromkeys(event.message for event in events if event.type == "Warning" and event.message))


def _warning(group: Any) -> str:
    said = _events(group)
    return f"({said})" if said else ""


def _reasons(error: Any) -> str:
    """Return an error of Azure Resource Manager with those that are its causes."""
    if error is None:
        return "it gives no reason."
    own = f"{error.code}: {error.message}" if error.code else str(error.message)
    return " ".join([own, *(_reasons(one) for one in error.details or [])])
