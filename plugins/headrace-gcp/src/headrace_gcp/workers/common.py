"""What all workers of this plugin share: what jobs are made from, the default image, a warning of secrets that everybody can read, output."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from headrace.blocks.credentials import Live, is_secret_name
from headrace.workers.remote import JobLogs, RemoteJobConfiguration
from headrace_gcp import rest
from headrace_gcp.credentials import GcpCredentials, endpoint
from headrace_gcp.utilities import job_name

if TYPE_CHECKING:
    from uuid import UUID

    from headrace.client.schemas.objects import Deployment, Flow, FlowRun, WorkPool

PAGE = 1000


class GcpJobConfiguration(RemoteJobConfiguration):
    """What all kinds of jobs in Google Cloud are made from."""

    region: str = Field(description="The region where the job resides.")
    credentials: GcpCredentials = Field(
        default_factory=GcpCredentials, description="The GCP Credentials to log in with. Default: the Application Default Credentials of the worker."
    )

    _api: Live[Any] = PrivateAttr(default_factory=Live)

    def prepare_for_flow_run(
        self,
        flow_run: FlowRun,
        deployment: Deployment | None = None,
        flow: Flow | None = None,
        work_pool: WorkPool | None = None,
        worker_name: str | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """Add to the job what belongs to this run. Raises `ValueError` for a job without a container."""
        self.take_secrets()
        super().prepare_for_flow_run(flow_run, deployment, flow, work_pool, worker_name, worker_id)
        self.complete()

    def take_secrets(self) -> None:
        """Put secrets of the platform where the library looks for variables that it fills."""
        return

    def complete(self) -> None:
        """Put environment, command, labels and whatever else belongs to this run into the body of the request."""
        raise TypeError(f"{type(self).__name__} must give `complete`.")

    @property
    def project(self) -> str:
        """The project that jobs are made in. Raises `ValueError` when none is known."""
        return self.credentials.resolve_project()

    @property
    def job_name(self) -> str:
        """The job's name: that of the run, and 32 letters that are the same for every try to start it."""
        return job_name(self.name, self.token)

    @property
    def place(self) -> str:
        """Where jobs are, for messages."""
        return f"project {self.project!r}, region {self.region!r}"


def default_image() -> str:
    """Return the name of headrace's own image of this version. It has to be in a registry from which Google Cloud can pull."""
    return f"headrace:{version('headrace')}"


def warn_of_plain_secrets(logger: Any, configuration: RemoteJobConfiguration, advice: str) -> None:
    """Warn when a key of the server would stand in a job in the clear."""
    shown = [name for name in configuration.environment.secure if name.startswith("HEADRACE_") and is_secret_name(name)]
    if shown:
        logger.warning("%s can be read by everybody who may see the job. %s", " and ".join(shown), advice)


def read_output(credentials: GcpCredentials, project: str, wanted: str, after: str | None) -> JobLogs:
    """Return a page of what Cloud Logging has under a filter, oldest first; `after` is what the page before came with.

    The login needs roles/logging.viewer. See cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list.
    """
    entries = rest.service(credentials, "logging", "v2", endpoint("logging", "https://logging.googleapis.com"), "entries").entries()
    asked = {"resourceNames": [f"projects/{project}"], "filter": wanted, "orderBy": "timestamp asc", "pageSize": PAGE}
    found = entries.list(body={**asked, "pageToken": after} if after else asked).execute()
    lines = [_text(entry) for entry in found.get("entries") or []]
    return JobLogs([line for line in lines if line], found.get("nextPageToken"))


def _text(entry: dict[str, Any]) -> str:
    return str(entry.get("textPayload") or (entry.get("jsonPayload") or {}).get("message") or "").rstrip("\n")
