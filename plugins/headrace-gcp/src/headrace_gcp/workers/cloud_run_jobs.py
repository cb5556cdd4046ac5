"""What the workers for both of Cloud Run's APIs share: a job is made for each run, started once, watched by its execution, and removed."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import AliasChoices, Field

from headrace.exceptions import InfrastructureError, InfrastructureNotFound
from headrace.workers.base import BaseWorkerResult
from headrace.workers.remote import Failure, JobLogs, JobStatus, RemoteJobVariables, RemoteJobWorker
from headrace_gcp import rest
from headrace_gcp.credentials import GcpCredentials
from headrace_gcp.models.cloud_run_v2 import SecretKeySelector
from headrace_gcp.settings import GcpSettings
from headrace_gcp.workers.common import GcpJobConfiguration, read_output, warn_of_plain_secrets

if TYPE_CHECKING:
    from headrace.client.schemas.objects import FlowRun

READY_FIRST_SECONDS = 0.5
ROLES = "roles/run.developer on the project and roles/iam.serviceAccountUser on the service account that jobs run as"
KEEP_SECRETS = "Keep it in Secret Manager, and name it by headrace_api_key_secret, headrace_api_auth_string_secret or secret_env."
TEXTS = {
    "region": "The region where the Cloud Run Job resides.",
    "credentials": "The GCP Credentials used to connect to Cloud Run. Default: the Application Default Credentials of the worker.",
    "headrace_api_key_secret": "A GCP secret containing a headrace API key, for HEADRACE_API_KEY. The job's service account must be able to read it.",
    "headrace_api_auth_string_secret": "A GCP secret containing a headrace API authorization string, for HEADRACE_API_AUTH_STRING.",
    "keep_job": "Keep the completed Cloud Run Job on Google Cloud Platform.",
    "image": "The image of the container, in a registry from which Cloud Run can pull. Default: headrace's own of the worker's version.",
    "job_body": "The body of the request that creates the job.",
    "vpc_connector_name": "The name of the VPC connector to use for the Cloud Run Job.",
    "service_account_name": "The name of the service account to use for the task execution of Cloud Run Job. Default: that of Compute Engine.",
}


@dataclass(frozen=True, slots=True)
class JobState:
    """A job: whether it can be run, and the name of its last execution."""

    is_ready: bool
    execution: str | None


@dataclass(frozen=True, slots=True)
class ExecutionState:
    """An execution: whether it has ended and how, whether its container runs, what Cloud Run says of it, where its output is."""

    is_over: bool
    is_well: bool
    is_running: bool
    message: str
    log_uri: str


class JobsApi(ABC):
    """One of the two APIs, for one project and region."""

    @abstractmethod
    def create(self, name: str, body: dict[str, Any]) -> None:
        """Create a job."""

    @abstractmethod
    def job(self, name: str) -> JobState:
        """Ask for a job. Raises `RuntimeError` when it will never be ready."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the names of all jobs."""

    @abstractmethod
    def run(self, name: str) -> None:
        """Start an execution."""

    @abstractmethod
    def execution(self, execution: str) -> ExecutionState:
        """Ask for an execution."""

    @abstractmethod
    def exit_code(self, execution: str) -> int | None:
        """Ask for the exit code of the last attempt; None when there is none."""

    @abstractmethod
    def cancel(self, execution: str) -> None:
        """End an execution: its container gets SIGTERM, and SIGKILL ten seconds later."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a job."""


class CloudRunVariables(RemoteJobVariables):
    """The variables that both APIs take."""

    region: str = Field(default="us-central1", description=TEXTS["region"], examples=["us-central1"])
    credentials: GcpCredentials | None = Field(default=None, title="GCP Credentials", description=TEXTS["credentials"])
    headrace_api_key_secret: SecretKeySelector | None = Field(
        default=None, title="Headrace API Key Secret", description=TEXTS["headrace_api_key_secret"]
    )
    headrace_api_auth_string_secret: SecretKeySelector | None = Field(
        default=None, title="Headrace API Auth String Secret", description=TEXTS["headrace_api_auth_string_secret"]
    )
    keep_job: bool | None = Field(default=False, title="Keep Job After Completion", description=TEXTS["keep_job"])
    vpc_connector_name: str | None = Field(default=None, title="VPC Connector Name", description=TEXTS["vpc_connector_name"])
    service_account_name: str | None = Field(default=None, description=TEXTS["service_account_name"])


class CloudRunConfiguration(GcpJobConfiguration):
    """The configuration that both APIs take."""

    region: str = Field(default="us-central1", description=TEXTS["region"])
    headrace_api_key_secret: SecretKeySelector | None = Field(
        default=None,
        description=TEXTS["headrace_api_key_secret"],
        validation_alias=AliasChoices("headrace_api_key_secret", "prefect_api_key_secret"),
    )
    headrace_api_auth_string_secret: SecretKeySelector | None = Field(
        default=None,
        description=TEXTS["headrace_api_auth_string_secret"],
        validation_alias=AliasChoices("headrace_api_auth_string_secret", "prefect_api_auth_string_secret"),
    )

    job_body: dict[str, Any] = Field(default_factory=dict, description=TEXTS["job_body"])
    keep_job: bool | None = Field(default=False, description=TEXTS["keep_job"])

    def selected_secrets(self) -> dict[str, SecretKeySelector]:
        """Return the secrets that variables are filled from, by the variable."""
        found = {"HEADRACE_API_KEY": self.headrace_api_key_secret, "HEADRACE_API_AUTH_STRING": self.headrace_api_auth_string_secret}
        return {name: one for name, one in found.items() if one is not None}

    def take_secrets(self) -> None:
        """See `GcpJobConfiguration.take_secrets`."""
        self.secret_env = {**{name: f"{one.secret}:{one.version}" for name, one in self.selected_secrets().items()}, **self.secret_env}

    def open_api(self) -> JobsApi:
        """Make what talks to Cloud Run."""
        raise TypeError(f"{type(self).__name__} must give `open_api`.")

    @property
    def api(self) -> JobsApi:
        """What talks to Cloud Run, made at first use."""
        return self._api.get(self.open_api)


def secret_and_version(reference: str) -> tuple[str, str]:
    """Return the parts of a reference such as `name:3`; without a version it is the latest."""
    name, _, version = reference.partition(":")
    return name, version or "latest"


C = TypeVar("C", bound=CloudRunConfiguration)
V = TypeVar("V", bound=CloudRunVariables)
R = TypeVar("R", bound=BaseWorkerResult)


class CloudRunJobsWorker(RemoteJobWorker[C, V, R], ABC):
    """Runs each flow run as a job of its own. Identifiers are the names of jobs."""

    async def setup(self) -> None:
        """See `BaseWorker.setup`; how often things are tried is a setting."""
        await super().setup()
        self.submit_tries = GcpSettings().cloud_run_v2.worker.submit_job_max_attempts

    async def pause(self, attempt: int) -> None:
        """See `RemoteJobWorker.pause`; its lengths are settings."""
        told = GcpSettings().cloud_run_v2.worker
        seconds = min(told.submit_job_initial_delay_seconds * 2 ** (attempt - 1), told.submit_job_max_delay_seconds)
        await asyncio.sleep(seconds * random.uniform(0.5, 1))

    async def run(self, flow_run: FlowRun, configuration: C, task_status: Any = None) -> R:
        """See `RemoteJobWorker.run`; variables that stand in the job in the clear although they hold secrets are warned of."""
        warn_of_plain_secrets(self.get_flow_run_logger(flow_run), configuration, KEEP_SECRETS)
        return await super().run(flow_run, configuration, task_status)

    def submit_job(self, job: C, token: str) -> str:
        """Create the job, unless it is there from a try before, wait until it is ready, and run it."""
        told = GcpSettings().cloud_run_v2.worker
        name = job.job_name
        limits = (told.create_job_max_attempts, told.create_job_initial_delay_seconds, told.create_job_max_delay_seconds)
        try:
            rest.insist(lambda: self._create(job, name), *limits)
            self._await_ready(job, name)
            job.api.run(name)
        except Exception as error:
            raise rest.explained(error, "run a job", job.credentials.account, job.place, ROLES) from error
        return name

    def find_job(self, job: C, token: str) -> str | None:
        """Return the job of this run, if it has an execution. The run may be called something else by now: then the token tells."""
        try:
            return job.job_name if self._job(job, job.job_name).execution is not None else None
        except InfrastructureNotFound:
            name = next((name for name in job.api.names() if name.endswith(f"-{token}")), None)
            return name if name is not None and self._job(job, name).execution is not None else None

    def poll_job(self, identifier: str, job: C) -> JobStatus:
        """Ask for the job's execution."""
        execution = self._job(job, identifier).execution
        if execution is None:
            return JobStatus.pending("It is about to start.")
        found = self._known(job, identifier, lambda: job.api.execution(execution))
        if not found.is_over:
            state = JobStatus.running if found.is_running else JobStatus.pending
            return state(f"Its output is at {found.log_uri}" if found.is_running and found.log_uri else found.message)
        if found.is_well:
            return JobStatus.ended(0)
        code = self._known(job, identifier, lambda: job.api.exit_code(execution))
        return JobStatus.ended(code or 1, found.message)

    def stop_job(self, identifier: str, job: C, grace_seconds: int) -> None:
        """End the execution, and delete the job unless it is to be kept. Cloud Run has its own grace: ten seconds."""
        if not identifier.strip() or "/" in identifier:
            raise ValueError(f"{identifier!r} is no name of a Cloud Run job.")
        execution = self._job(job, identifier).execution
        if execution is not None:
            if self._known(job, identifier, lambda: job.api.execution(execution)).is_over:
                raise InfrastructureNotFound(f"The Cloud Run job {identifier!r} has ended.")
            self._known(job, identifier, lambda: job.api.cancel(execution))
        if not job.keep_job:
            self._known(job, identifier, lambda: job.api.delete(identifier))

    def read_logs(self, identifier: str, job: C, after: str | None) -> JobLogs:
        """Read the container's output from Cloud Logging."""
        wanted = f'resource.type="cloud_run_job" resource.labels.job_name="{identifier}" resource.labels.location="{job.region}"'
        return read_output(job.credentials, job.project, f'{wanted} logName:"run.googleapis.com%2Fstd"', after)

    def clean_up(self, identifier: str, job: C) -> None:
        """Delete the job unless it is to be kept."""
        if not job.keep_job:
            self._known(job, identifier, lambda: job.api.delete(identifier))

    def failure_of(self, error: Exception) -> Failure:
        """See `RemoteJobWorker.failure_of`."""
        return rest.failure_of(error)

    def poll_seconds(self, job: C) -> float:
        """What the settings say."""
        return GcpSettings().cloud_run_v2.worker.poll_seconds

    def _create(self, job: C, name: str) -> None:
        try:
            job.api.create(name, job.job_body)
        except Exception as error:
            if rest.status_of(error) != 409:  # the name is this run's alone: a try before has made it
                raise

    def _await_ready(self, job: C, name: str) -> None:
        waited, seconds, limit = 0.0, READY_FIRST_SECONDS, GcpSettings().cloud_run_v2.worker.ready_timeout_seconds
        while True:
            try:
                if self._job(job, name).is_ready:
                    return
            except RuntimeError as error:
                self._remove(job, name)
                raise InfrastructureError(f"{error} Check the image, its registry, and what the service account may do.") from error
            if waited >= limit:
                self._remove(job, name)
                raise InfrastructureError(
                    f"The job {name} was not ready within {limit:g} seconds, and was removed. Retry the run, or raise the setting "
                    "integrations.gcp.cloud_run_v2.worker.ready_timeout_seconds."
                )
            pause = min(seconds, self.poll_seconds(job))
            rest.pause(pause)
            waited, seconds = waited + pause, 2 * seconds

    def _remove(self, job: C, name: str) -> None:
        if not job.keep_job:
            with suppress(Exception):  # what is told is why it could not run
                job.api.delete(name)

    def _job(self, job: C, name: str) -> JobState:
        told = GcpSettings().cloud_run_v2.worker
        limits = (told.api_read_retry_max_attempts, told.api_read_retry_initial_delay_seconds, told.api_read_retry_max_delay_seconds)
        return self._known(job, name, lambda: rest.insist(lambda: job.api.job(name), *limits))

    @staticmethod
    def _known(job: C, name: str, ask: Any) -> Any:
        try:
            return ask()
        except Exception as error:
            if rest.status_of(error) == 404:
                raise InfrastructureNotFound(f"There is no Cloud Run job {name!r} in {job.place}.") from error
            raise
