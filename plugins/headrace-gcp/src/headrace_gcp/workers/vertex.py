"""The Vertex AI worker: each flow run is a custom job.

headrace work-pool create my-vertex-pool --type vertex-ai
headrace worker start --pool my-vertex-pool
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from headrace.exceptions import InfrastructureNotFound
from headrace.workers.base import BaseWorkerResult
from headrace.workers.remote import Failure, JobLogs, JobStatus, RemoteJobVariables, RemoteJobWorker
from headrace_gcp import rest
from headrace_gcp.credentials import GcpCredentials, endpoint
from headrace_gcp.utilities import merge_labels_for_gcp
from headrace_gcp.workers.common import GcpJobConfiguration, read_output, warn_of_plain_secrets

if TYPE_CHECKING:
    from headrace.client.schemas.objects import FlowRun

ROLES = "roles/aiplatform.user on the project and roles/iam.serviceAccountUser on the service account that jobs run as"
NO_SECRETS = "Vertex AI takes no variables from Secret Manager: let whoever must not read it have no role on the project's custom jobs."
_RUNNING = ("JOB_STATE_RUNNING", "JOB_STATE_UPDATING", "JOB_STATE_CANCELLING")
_ENDED_WELL = ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED")
_ENDED_BADLY = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")
_EXIT_CODE = re.compile(r"non-zero status of (\d+)")
TOKEN_LABEL = "headrace-job-token"
"""The label by which a job is found when the answer to making it was lost."""
_IDENTIFIER = re.compile(r"projects/[^/]+/locations/[^/]+/customJobs/[^/]+")
_TEXTS = {
    "region": "The region where the Vertex AI Job resides.",
    "image": "The URI of a container image in the Container or Artifact Registry, used to run your Vertex AI Job.",
    "credentials": "The GCP Credentials used to initiate the Vertex AI Job. Default: the Application Default Credentials of the worker.",
    "job_spec": "The Vertex AI Job spec used to create the Job: a CustomJobSpec, in small letters with underscores.",
    "job_watch_poll_interval": "The amount of time to wait between GCP API calls while monitoring the state of a Vertex AI Job, in seconds.",
    "maximum_run_time_hours": "The maximum job running time, in hours; then Vertex AI ends the job.",
    "network": "The full name of the Compute Engine network to which the Job should be peered: projects/NUMBER/global/networks/NAME.",
    "reserved_ip_ranges": "Names of the reserved ip ranges under the VPC network that can be used for this job.",
    "scheduling": "A dictionary with scheduling options for the job, as strategy, restart_job_on_worker_restart or max_wait_duration.",
    "service_account_name": "The service account that the job runs as. Default: that of the credentials.",
    "enable_web_access": "Whether to enable interactive shell access to the job's container from the console.",
    "enable_dashboard_access": "Whether to enable access to the dashboard in the job's container.",
}


class VertexAIWorkerVariables(RemoteJobVariables):
    """The variables of the base job template of work pools of type `vertex-ai`."""

    region: str = Field(description=_TEXTS["region"], examples=["us-central1"])
    image: str = Field(title="Image Name", description=_TEXTS["image"], examples=["gcr.io/your-project/your-repo:latest"])
    credentials: GcpCredentials | None = Field(default=None, title="GCP Credentials", description=_TEXTS["credentials"])
    args: list[str] = Field(default_factory=list, description="The arguments to pass to the command.")
    machine_type: str = Field(default="n1-standard-4", description="The machine type to use for the run: it says how much CPU and memory there is.")
    accelerator_type: str | None = Field(default=None, description="The type of accelerator to attach to the machine.", examples=["NVIDIA_TESLA_T4"])
    accelerator_count: int | None = Field(default=None, description="The number of accelerators to attach to the machine.")
    boot_disk_type: str = Field(default="pd-ssd", title="Boot Disk Type", description="The type of boot disk to attach to the machine.")
    boot_disk_size_gb: int = Field(default=100, title="Boot Disk Size (GB)", description="The size of the boot disk to attach to the machine.")
    maximum_run_time_hours: int = Field(default=1, gt=0, description=_TEXTS["maximum_run_time_hours"])
    network: str | None = Field(default=None, description=_TEXTS["network"])
    reserved_ip_ranges: list[str] | None = Field(default=None, description=_TEXTS["reserved_ip_ranges"])
    scheduling: dict[str, Any] | None = Field(default=None, description=_TEXTS["scheduling"], examples=[{"strategy": "SPOT"}])
    service_account_name: str | None = Field(default=None, description=_TEXTS["service_account_name"])
    enable_web_access: bool = Field(default=False, description=_TEXTS["enable_web_access"])
    enable_dashboard_access: bool = Field(default=False, description=_TEXTS["enable_dashboard_access"])
    job_watch_poll_interval: float = Field(default=5.0, gt=0, description=_TEXTS["job_watch_poll_interval"])


def _default_job_spec() -> dict[str, Any]:
    machine = {name: f"{{{{ {name} }}}}" for name in ("machine_type", "accelerator_type", "accelerator_count")}
    disk = {name: f"{{{{ {name} }}}}" for name in ("boot_disk_type", "boot_disk_size_gb")}
    container = {"image_uri": "{{ image }}", "command": "{{ command }}", "args": "{{ args }}"}
    pool = {"replica_count": 1, "container_spec": container, "machine_spec": machine, "disk_spec": disk}
    names = ("service_account_name", "network", "reserved_ip_ranges", "maximum_run_time_hours", "scheduling", "enable_web_access")
    return {**{name: f"{{{{ {name} }}}}" for name in (*names, "enable_dashboard_access")}, "worker_pool_specs": [pool]}


class VertexAIWorkerJobConfiguration(GcpJobConfiguration):
    """What a custom job is made from."""

    job_spec: dict[str, Any] = Field(default_factory=dict, description=_TEXTS["job_spec"], json_schema_extra={"template": _default_job_spec()})
    job_watch_poll_interval: float = Field(default=5.0, gt=0, description=_TEXTS["job_watch_poll_interval"])

    @property
    def parent(self) -> str:
        """Where jobs are made."""
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def api(self) -> Any:
        """The resource `customJobs`, made at first use."""
        return self._api.get(self._open)

    def complete(self) -> None:
        """Put environment, command and service account into the spec. Raises `ValueError` for a spec without a container."""
        if self.secret_env:
            raise ValueError(f"secret_env names {', '.join(self.secret_env)}, and {NO_SECRETS[0].lower()}{NO_SECRETS[1:]} Or read it in the flow.")
        for container in self._containers():
            command = container.get("command") or self.command or ""
            container["command"] = shlex.split(command) if isinstance(command, str) else command
            own = [one for one in container.get("env") or [] if one.get("name") not in self.env]
            told = self.environment
            container["env"] = [*own, *({"name": name, "value": value} for name, value in {**told.plain, **told.secure}.items())]
        if not self.job_spec.get("service_account_name"):
            self.job_spec["service_account_name"] = self.credentials.service_account

    def custom_job(self) -> dict[str, Any]:
        """Return the body of the request: a CustomJob (cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs)."""
        spec = dict(self.job_spec)
        labels = merge_labels_for_gcp(self.labels, {TOKEN_LABEL: self.token, **(spec.pop("labels", None) or {})})
        scheduling = dict(spec.pop("scheduling", None) or {})
        hours = spec.pop("maximum_run_time_hours", None)
        if hours:
            scheduling.setdefault("timeout", f"{int(hours * 3600)}s")
        account = spec.pop("service_account_name", None)
        found = {**spec, "scheduling": scheduling, **({"service_account": account} if account else {})}
        return {"displayName": self.job_name, "labels": labels, "jobSpec": _camel(found)}

    def _containers(self) -> list[dict[str, Any]]:
        try:
            found = [pool["container_spec"] for pool in self.job_spec["worker_pool_specs"] if pool.get("container_spec")]
            assert all(container["image_uri"] for container in found)
            found[0]  # looked for, to say what is wrong while it can be told
        except (KeyError, IndexError, TypeError, AssertionError):
            raise ValueError(
                "The job_spec has no worker_pool_specs with a container_spec and its image_uri. Give the job variable `image`, or mend the template."
            ) from None
        return found

    def _open(self) -> Any:
        address = endpoint("aiplatform", f"https://{self.region}-aiplatform.googleapis.com")
        found = rest.service(self.credentials, "aiplatform", "v1", address, "projects", "locations", "customJobs")
        return found.projects().locations().customJobs()


class VertexAIWorkerResult(BaseWorkerResult):
    """What became of a job: its whole name, and the exit code of its container."""


class VertexAIWorker(RemoteJobWorker[VertexAIWorkerJobConfiguration, VertexAIWorkerVariables, VertexAIWorkerResult]):
    """Runs flow runs as custom jobs of Vertex AI. Identifiers are `projects/…/locations/…/customJobs/…`."""

    type = "vertex-ai"
    job_configuration = VertexAIWorkerJobConfiguration
    job_configuration_variables = VertexAIWorkerVariables
    result_class = VertexAIWorkerResult
    _display_name = "Google Vertex AI"
    _description = "Execute flow runs within containers on Google Vertex AI. Requires a Google Cloud Platform account."
    _documentation_url = "https://cloud.google.com/vertex-ai/docs/training/create-custom-job"

    async def run(self, flow_run: FlowRun, configuration: VertexAIWorkerJobConfiguration, task_status: Any = None) -> VertexAIWorkerResult:
        """See `RemoteJobWorker.run`; variables that stand in the job in the clear although they hold secrets are warned of."""
        warn_of_plain_secrets(self.get_flow_run_logger(flow_run), configuration, NO_SECRETS)
        return await super().run(flow_run, configuration, task_status)

    def submit_job(self, job: VertexAIWorkerJobConfiguration, token: str) -> str:
        """Create a custom job; it starts by itself."""
        try:
            return str(job.api.create(parent=job.parent, body=job.custom_job()).execute()["name"])
        except Exception as error:
            raise rest.explained(error, "create a custom job", job.credentials.account, job.place, ROLES) from error

    def find_job(self, job: VertexAIWorkerJobConfiguration, token: str) -> str | None:
        """Look for a job by the label that is this try's alone."""
        found = job.api.list(parent=job.parent, filter=f'labels.{TOKEN_LABEL}="{token}"').execute().get("customJobs") or []
        return str(found[0]["name"]) if found else None

    def poll_job(self, identifier: str, job: VertexAIWorkerJobConfiguration) -> JobStatus:
        """Ask for the job's state."""
        found = self._get(identifier, job)
        state, error = str(found.get("state", "")), found.get("error") or {}
        if state in _ENDED_WELL:
            return JobStatus.ended(0)
        if state in _ENDED_BADLY:
            told = str(error.get("message") or f"Vertex AI says {state}.")
            code = _EXIT_CODE.search(told)
            return JobStatus.ended(int(code[1]) if code else 1, told)
        if state in _RUNNING:
            return JobStatus.running(f"It is shown at {_page_of(identifier)}")
        return JobStatus.pending(state.removeprefix("JOB_STATE_").lower())

    def stop_job(self, identifier: str, job: VertexAIWorkerJobConfiguration, grace_seconds: int) -> None:
        """Cancel the job. Vertex AI has its own grace."""
        if _IDENTIFIER.fullmatch(identifier) is None:
            raise ValueError(f"{identifier!r} is no name of a custom job, which is like projects/P/locations/R/customJobs/N.")
        state = self._get(identifier, job).get("state")
        if state in (*_ENDED_WELL, *_ENDED_BADLY):
            raise InfrastructureNotFound(f"The custom job {identifier!r} has ended: {state}.")
        job.api.cancel(name=identifier, body={}).execute()

    def read_logs(self, identifier: str, job: VertexAIWorkerJobConfiguration, after: str | None) -> JobLogs:
        """Read the container's output from Cloud Logging."""
        wanted = f'resource.type="ml_job" resource.labels.job_id="{identifier.rpartition("/")[2]}"'
        return read_output(job.credentials, job.project, wanted, after)

    def failure_of(self, error: Exception) -> Failure:
        """See `RemoteJobWorker.failure_of`."""
        return rest.failure_of(error)

    def poll_seconds(self, job: VertexAIWorkerJobConfiguration) -> float:
        """What the job's variable says."""
        return job.job_watch_poll_interval

    def _get(self, identifier: str, job: VertexAIWorkerJobConfiguration) -> dict[str, Any]:
        try:
            return job.api.get(name=identifier).execute()
        except Exception as error:
            if rest.status_of(error) == 404:
                raise InfrastructureNotFound(f"There is no custom job {identifier!r}.") from error
            raise


def _page_of(identifier: str) -> str:
    """Return the address in the console of a job, with the way to its output."""
    _, project, _, region, _, number = identifier.split("/")
    return f"https://console.cloud.google.com/ai/platform/locations/{region}/training/{number}?project={project}"


def _camel(value: Any) -> Any:
    """Return the same with keys as REST has them: `machine_spec` becomes `machineSpec`. Empty values are left out."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), key): _camel(item) for key, item in items if item not in (None, {}, [])}
    if isinstance(value, list):
        return [_camel(item) for item in cast("list[Any]", value)]
    return value
