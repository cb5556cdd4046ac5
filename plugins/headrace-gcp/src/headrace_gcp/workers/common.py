"""What all workers of this plugin share: the default image, a warning of secrets that everybody can read, output from Cloud Logging."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from headrace.blocks.credentials import is_secret_name
from headrace.workers.remote import JobLogs
from headrace_gcp import rest
from headrace_gcp.credentials import endpoint

if TYPE_CHECKING:
    from headrace.workers.remote import RemoteJobConfiguration
    from headrace_gcp.credentials import GcpCredentials

PAGE = 1000


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
