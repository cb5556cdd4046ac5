"""The Cloud Run worker, for Cloud Run's API v2: each flow run is a job.

headrace work-pool create my-pool --type cloud-run-v2
headrace worker start --pool my-pool
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from headrace.workers.base import BaseWorkerResult
from headrace_gcp import rest
from headrace_gcp.credentials import endpoint
from headrace_gcp.models.cloud_run_v2 import ExecutionV2, JobV2, LaunchStage, SecretKeySelector
from headrace_gcp.utilities import merge_labels_for_gcp
from headrace_gcp.workers.cloud_run_jobs import (
    TEXTS,
    CloudRunConfiguration,
    CloudRunJobsWorker,
    CloudRunVariables,
    ExecutionState,
    JobsApi,
    JobState,
    secret_and_version,
)
from headrace_gcp.workers.common import default_image

_ENV_FROM_SECRETS = "Environment variables to set from GCP secrets when starting a flow run, by the variable: the secret and its version."
_CLOUDSQL = "List of Cloud SQL instances to connect to, as project:region:instance. Their sockets are below /cloudsql."
_TIMEOUT = "The longest time that the job may run, in seconds, for each try; then Cloud Run ends it. At most 604800, seven days."


class CloudRunWorkerV2Variables(CloudRunVariables):
    """The variables of the base job template of work pools of type `cloud-run-v2`."""

    image: str | None = Field(default_factory=default_image, title="Image Name", description=TEXTS["image"])
    args: list[str] = Field(default_factory=list, description="The arguments to pass to the Cloud Run Job V2's entrypoint command.")
    env_from_secrets: dict[str, SecretKeySelector] = Field(
        default_factory=dict, title="Environment Variables from Secrets", description=_ENV_FROM_SECRETS
    )
    cloudsql_instances: list[str] | None = Field(default_factory=list, title="Cloud SQL Instances", description=_CLOUDSQL)
    launch_stage: LaunchStage = Field(
        default="BETA", description="The launch stage of the Cloud Run Job V2: GA refuses features that are not generally available."
    )
    max_retries: int = Field(default=0, ge=0, title="Max Retries", description="How often Cloud Run may run a failed container again.")
    cpu: str = Field(default="1000m", title="CPU", description="The CPU to allocate to the Cloud Run Job V2.")
    memory: str = Field(
        default="512Mi", title="Memory", description="The memory to allocate to the Cloud Run Job V2, with its unit.", pattern=r"^\d+(?:G|Gi|M|Mi)$"
    )
    timeout: int = Field(default=600, gt=0, le=604800, title="Job Timeout", description=_TIMEOUT)


def _default_job_body() -> dict[str, Any]:
    container = {
        "env": [],
        "image": "{{ image }}",
        "command": "{{ command }}",
        "args": "{{ args }}",
        "resources": {"limits": {"cpu": "{{ cpu }}", "memory": "{{ memory }}"}},
    }
    task = {
        "serviceAccount": "{{ service_account_name }}",
        "maxRetries": "{{ max_retries }}",
        "timeout": "{{ timeout }}",
        "vpcAccess": {"connector": "{{ vpc_connector_name }}"},
        "containers": [container],
    }
    return {"client": "headrace", "launchStage": "{{ launch_stage }}", "template": {"template": task}}


class CloudRunWorkerJobV2Configuration(CloudRunConfiguration):
    """What a job is made from. `job_body` is a Job of Cloud Run's API v2."""

    env_from_secrets: dict[str, SecretKeySelector] = Field(default_factory=dict, description=_ENV_FROM_SECRETS)
    cloudsql_instances: list[str] | None = Field(default_factory=list, description=_CLOUDSQL)
    job_body: dict[str, Any] = Field(default_factory=dict, description=TEXTS["job_body"], json_schema_extra={"template": _default_job_body()})
    timeout: int = Field(default=600, gt=0, le=604800, description=_TIMEOUT)

    def selected_secrets(self) -> dict[str, SecretKeySelector]:
        """See `CloudRunConfiguration.selected_secrets`."""
        return {**self.env_from_secrets, **super().selected_secrets()}

    def complete(self) -> None:
        """Put environment, command and labels into the body. Raises `ValueError` for a body without a container."""
        task = self._task()
        container = task["containers"][0]
        command = container.get("command") or self.command or ""
        container["command"] = shlex.split(command) if isinstance(command, str) else command
        container["env"] = [*self._own_env(container), *self._env()]
        if not container.get("args"):
            container.pop("args", None)
        task["timeout"] = f"{self.timeout}s"
        if not any((task.get("vpcAccess") or {}).values()):
            task.pop("vpcAccess", None)
        if self.cloudsql_instances:
            task.setdefault("volumes", []).append({"name": "cloudsql", "cloudSqlInstance": {"instances": self.cloudsql_instances}})
            container.setdefault("volumeMounts", []).append({"name": "cloudsql", "mountPath": "/cloudsql"})
        for labelled in (self.job_body, self.job_body["template"]):
            labelled["labels"] = merge_labels_for_gcp(self.labels, labelled.get("labels") or {})

    def open_api(self) -> JobsApi:
        """Make what talks to Cloud Run."""
        address = endpoint("run", "https://run.googleapis.com")
        return _V2Api(rest.service(self.credentials, "run", "v2", address, "projects", "locations", "jobs"), self.project, self.region)

    def _task(self) -> dict[str, Any]:
        try:
            task = self.job_body["template"]["template"]
            task["containers"][0]["image"]  # looked for, to say what is wrong while it can be told
        except (KeyError, IndexError, TypeError):
            raise ValueError(
                "The job_body has no template.template.containers[0].image. Give the job variable `image`, or mend the template."
            ) from None
        return task

    def _own_env(self, container: dict[str, Any]) -> list[dict[str, Any]]:
        given = {**self.env, **self.secret_env}
        return [one for one in container.get("env") or [] if one.get("name") not in given]

    def _env(self) -> list[dict[str, Any]]:
        told = self.environment
        found: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in {**told.plain, **told.secure}.items()]
        for name, reference in told.references.items():
            secret, version = secret_and_version(reference)
            found.append({"name": name, "valueSource": {"secretKeyRef": {"secret": secret, "version": version}}})
        return found


class CloudRunWorkerV2Result(BaseWorkerResult):
    """What became of a job: its name, and the exit code of its container."""


class CloudRunWorkerV2(CloudRunJobsWorker[CloudRunWorkerJobV2Configuration, CloudRunWorkerV2Variables, CloudRunWorkerV2Result]):
    """Runs flow runs as jobs of Cloud Run, by its API v2."""

    type = "cloud-run-v2"
    job_configuration = CloudRunWorkerJobV2Configuration
    job_configuration_variables = CloudRunWorkerV2Variables
    result_class = CloudRunWorkerV2Result
    _display_name = "Google Cloud Run V2"
    _description = "Execute flow runs within containers on Google Cloud Run (V2 API). Requires a Google Cloud Platform account."
    _documentation_url = "https://cloud.google.com/run/docs/create-jobs"


class _V2Api(JobsApi):
    def __init__(self, resource: Any, project: str, region: str) -> None:
        self._resource, self._project, self._region = resource, project, region

    def create(self, name: str, body: dict[str, Any]) -> None:
        JobV2.create(self._resource, self._project, self._region, name, body)

    def job(self, name: str) -> JobState:
        found = JobV2.get(self._resource, self._project, self._region, name)
        execution = found.latestCreatedExecution.get("name")
        return JobState(found.is_ready(), f"{found.name}/executions/{execution.rpartition('/')[2]}" if execution else None)

    def names(self) -> Iterator[str]:
        jobs = self._resource.projects().locations().jobs()
        request = jobs.list(parent=f"projects/{self._project}/locations/{self._region}")
        while request is not None:
            answer = request.execute()
            yield from (str(one["name"]).rpartition("/")[2] for one in answer.get("jobs") or [])
            request = jobs.list_next(request, answer)

    def run(self, name: str) -> None:
        JobV2.run(self._resource, self._project, self._region, name)

    def execution(self, execution: str) -> ExecutionState:
        found = ExecutionV2.get(self._resource, execution)
        message = str(found.condition_after_completion().get("message") or "")
        return ExecutionState(not found.is_running(), found.succeeded(), bool(found.runningCount), message, found.logUri)

    def exit_code(self, execution: str) -> int | None:
        tasks = self._executions().tasks().list(parent=execution).execute().get("tasks") or []
        codes = [(task.get("lastAttemptResult") or {}).get("exitCode") for task in tasks]
        return next((code for code in codes if code), None)

    def cancel(self, execution: str) -> None:
        self._executions().cancel(name=execution, body={}).execute()

    def delete(self, name: str) -> None:
        JobV2.delete(self._resource, self._project, self._region, name)

    def _executions(self) -> Any:
        return self._resource.projects().locations().jobs().executions()
