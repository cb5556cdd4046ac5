"""The Cloud Run worker for Cloud Run's first API, with Kubernetes-like jobs. New work pools had better be of type `cloud-run-v2`.

headrace work-pool create my-cloud-run-pool --type cloud-run
headrace worker start --pool my-cloud-run-pool
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from headrace.workers.base import BaseWorkerResult
from headrace_gcp import rest
from headrace_gcp.credentials import endpoint
from headrace_gcp.utilities import Execution, Job, merge_labels_for_gcp
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

_TIMEOUT = "Max allowed duration the Job may be active, in seconds; then Cloud Run ends it and marks it failed. At most 3600, one hour."
_VPC = "run.googleapis.com/vpc-access-connector"
_SECRETS = "run.googleapis.com/secrets"


class CloudRunWorkerVariables(CloudRunVariables):
    """The variables of the base job template of work pools of type `cloud-run`."""

    image: str | None = Field(default_factory=default_image, title="Image Name", description=TEXTS["image"])
    args: list[str] = Field(default_factory=list, description="The arguments to pass to the command.")
    cpu: str | None = Field(
        default=None, title="CPU", description="The amount of compute allocated to the Cloud Run Job, as 1000m or 2.", examples=["1000m"]
    )
    memory: str | None = Field(
        default=None,
        title="Memory",
        description="The amount of memory allocated to the Cloud Run Job, with its unit.",
        examples=["512Mi"],
        pattern=r"^\d+(?:G|Gi|M|Mi)$",
    )
    timeout: int | None = Field(default=600, gt=0, le=3600, title="Job Timeout", description=_TIMEOUT)


def _default_job_body() -> dict[str, Any]:
    resources = {"cpu": "{{ cpu }}", "memory": "{{ memory }}"}
    container = {
        "image": "{{ image }}",
        "command": "{{ command }}",
        "args": "{{ args }}",
        "resources": {"limits": dict(resources), "requests": dict(resources)},
    }
    task = {"containers": [container], "timeoutSeconds": "{{ timeout }}", "serviceAccountName": "{{ service_account_name }}"}
    return {
        "apiVersion": "run.googleapis.com/v1",
        "kind": "Job",
        "metadata": {"name": "{{ name }}", "annotations": {"run.googleapis.com/launch-stage": "BETA"}},
        "spec": {"template": {"metadata": {"annotations": {_VPC: "{{ vpc_connector_name }}"}}, "spec": {"template": {"spec": task}}}},
    }


class CloudRunWorkerJobConfiguration(CloudRunConfiguration):
    """What a job is made from. `job_body` is a Job of Cloud Run's API v1 (cloud.google.com/run/docs/reference/rest/v1/namespaces.jobs#Job)."""

    job_body: dict[str, Any] = Field(default_factory=dict, description=TEXTS["job_body"], json_schema_extra={"template": _default_job_body()})
    timeout: int | None = Field(default=600, gt=0, le=3600, description=_TIMEOUT)

    def complete(self) -> None:
        """Put name, environment, command and labels into the body. Raises `ValueError` for a body without a container."""
        container = self._container()
        command = container.get("command") or self.command or ""
        container["command"] = shlex.split(command) if isinstance(command, str) else command
        given = {**self.env, **self.secret_env}
        found, aliases = self._env()
        container["env"] = [*(one for one in container.get("env") or [] if one.get("name") not in given), *found]
        if not container.get("args"):
            container.pop("args", None)
        for kind in ("limits", "requests"):
            if not (container.get("resources") or {}).get(kind, True):
                del container["resources"][kind]
        metadata = self.job_body.setdefault("metadata", {})
        metadata["name"] = self.job_name
        metadata["namespace"] = self.project
        template = self.job_body["spec"]["template"].setdefault("metadata", {})
        for labelled in (metadata, template):
            labelled["labels"] = merge_labels_for_gcp(self.labels, labelled.get("labels") or {})
        annotations = template.setdefault("annotations", {})
        if not annotations.get(_VPC, True):
            del annotations[_VPC]
        if aliases:
            own = [annotations[_SECRETS]] if annotations.get(_SECRETS) else []
            annotations[_SECRETS] = ",".join([*own, *(f"{alias}:{secret}" for alias, secret in aliases.items())])
        # Cloud Run would start a container that failed three times more, and with it a run
        self.job_body["spec"]["template"]["spec"]["template"]["spec"].setdefault("maxRetries", 0)

    def open_api(self) -> JobsApi:
        """Make what talks to Cloud Run."""
        address = endpoint("run", f"https://{self.region}-run.googleapis.com")
        return _V1Api(rest.service(self.credentials, "run", "v1", address, "namespaces").namespaces(), self.project)

    def _container(self) -> dict[str, Any]:
        try:
            container = self.job_body["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]
            container["image"]  # looked for, to say what is wrong while it can be told
        except (KeyError, IndexError, TypeError):
            raise ValueError(
                "The job_body has no spec.template.spec.template.spec.containers[0].image. Give the job variable `image`, or mend the template."
            ) from None
        return container

    def _env(self) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Return the variables, and the other projects' secrets among them: this API takes those by an alias that an annotation explains."""
        told, aliases = self.environment, dict[str, str]()
        found: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in {**told.plain, **told.secure}.items()]
        for name, reference in told.references.items():
            secret, version = secret_and_version(reference)
            if "/" in secret:
                alias = next((one for one in aliases if aliases[one] == secret), f"headrace-secret-{len(aliases)}")
                aliases[alias], secret = secret, alias
            found.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": version}}})
        return found, aliases


class CloudRunWorkerResult(BaseWorkerResult):
    """What became of a job: its name, and the exit code of its container."""


class CloudRunWorker(CloudRunJobsWorker[CloudRunWorkerJobConfiguration, CloudRunWorkerVariables, CloudRunWorkerResult]):
    """Runs flow runs as jobs of Cloud Run, by its API v1."""

    type = "cloud-run"
    job_configuration = CloudRunWorkerJobConfiguration
    job_configuration_variables = CloudRunWorkerVariables
    result_class = CloudRunWorkerResult
    _display_name = "Google Cloud Run"
    _description = "Execute flow runs within containers on Google Cloud Run. Requires a Google Cloud Platform account."
    _documentation_url = "https://cloud.google.com/run/docs/create-jobs"


class _V1Api(JobsApi):
    def __init__(self, namespaces: Any, project: str) -> None:
        self._namespaces, self._project = namespaces, project

    def create(self, name: str, body: dict[str, Any]) -> None:
        Job.create(self._namespaces, self._project, body)

    def job(self, name: str) -> JobState:
        found = Job.get(self._namespaces, self._project, name)
        return JobState(found.is_ready(), found.execution_status.get("name"))

    def names(self) -> Iterator[str]:
        asked: dict[str, Any] = {"parent": f"namespaces/{self._project}"}
        while asked:
            answer = self._namespaces.jobs().list(**asked).execute()
            yield from (str(one["metadata"]["name"]) for one in answer.get("items") or [])
            more = (answer.get("metadata") or {}).get("continue")
            asked = {**asked, "continue": more} if more else {}

    def run(self, name: str) -> None:
        Job.run(self._namespaces, self._project, name)

    def execution(self, execution: str) -> ExecutionState:
        found = Execution.get(self._namespaces, self._project, execution)
        message = str((found.condition_after_completion() or {}).get("message") or "")
        return ExecutionState(not found.is_running(), found.succeeded(), bool(found.status.get("runningCount")), message, found.log_uri)

    def exit_code(self, execution: str) -> int | None:
        selector = f"run.googleapis.com/execution={execution}"
        found = self._namespaces.tasks().list(parent=f"namespaces/{self._project}", labelSelector=selector).execute()
        codes = [((task.get("status") or {}).get("lastAttemptResult") or {}).get("exitCode") for task in found.get("items") or []]
        return next((code for code in codes if code), None)

    def cancel(self, execution: str) -> None:
        self._namespaces.executions().cancel(name=f"namespaces/{self._project}/executions/{execution}", body={}).execute()

    def delete(self, name: str) -> None:
        Job.delete(self._namespaces, self._project, name)
