"""Names and labels as Google Cloud takes them, and jobs and executions of Cloud Run's first API."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from headrace.workers.remote import LabelRules

LABELS_MAX = 64
GCP_LABELS = LabelRules("a-z0-9_-", "a-z0-9_-", is_lower=True, filler="-", count=LABELS_MAX)


def slugify_name(name: str, max_length: int = 30) -> str | None:
    """Return a name with nothing in it but small letters, digits and dashes, cut to `max_length`; None when nothing is left.

    The default leaves room for 32 letters that make a job's name unique: Cloud Run takes 63.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:max_length].rstrip("-") or None


def job_name(name: str | None, token: str) -> str:
    """Return the name of a job in Cloud Run: that of the run as far as it goes, and the token, by which it is the same for every try."""
    slug = slugify_name(name or "") or "job"
    slug = slug if slug[0].isalpha() else slugify_name(f"run-{slug}") or "job"
    return f"{slug}-{token}"


def sanitize_labels_for_gcp(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels as Google Cloud takes them: `prefect.io/flow-run-id` becomes `prefect-io-flow-run-id`. At most 64."""
    return GCP_LABELS.fit(labels)


def merge_labels_for_gcp(headrace_labels: Mapping[str, str], existing_labels: Mapping[str, str]) -> dict[str, str]:
    """Add a run's labels to those of a template, which go first: they are left as they are, and never dropped for want of room."""
    found = dict(existing_labels)
    for key, value in sanitize_labels_for_gcp(headrace_labels).items():
        if len(found) < LABELS_MAX:
            found.setdefault(key, value)
    return found


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", defer_build=True)


class Job(_Answer):
    """A job, as Cloud Run's API v1 tells of it. `client` is its resource `namespaces`."""

    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: dict[str, Any] = Field(default_factory=dict)
    status: dict[str, Any] = Field(default_factory=dict)
    name: str = ""
    ready_condition: dict[str, Any] = Field(default_factory=dict)
    execution_status: dict[str, Any] = Field(default_factory=dict)

    def is_ready(self) -> bool:
        """Say whether it can be run. Raises `RuntimeError` when it cannot be made ready."""
        if self.ready_condition.get("status") == "False":
            raise RuntimeError(f"The job {self.name} cannot be run: {self.ready_condition.get('message') or self.ready_condition.get('reason')}")
        return self.ready_condition.get("status") == "True"

    def has_execution_in_progress(self) -> bool:
        """Say whether an execution of it has not ended."""
        return bool(self.execution_status) and self.execution_status.get("completionTimestamp") is None

    @classmethod
    def get(cls, client: Any, namespace: str, job_name: str) -> Self:
        """Ask for a job."""
        found = client.jobs().get(name=f"namespaces/{namespace}/jobs/{job_name}").execute()
        status = found.get("status") or {}
        return cls(
            metadata=found["metadata"],
            spec=found["spec"],
            status=status,
            name=found["metadata"]["name"],
            ready_condition=next((one for one in status.get("conditions") or [] if one.get("type") == "Ready"), {}),
            execution_status=status.get("latestCreatedExecution") or {},
        )

    @staticmethod
    def create(client: Any, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create a job; it is not ready at once."""
        return client.jobs().create(parent=f"namespaces/{namespace}", body=body).execute()

    @staticmethod
    def delete(client: Any, namespace: str, job_name: str) -> dict[str, Any]:
        """Delete a job."""
        return client.jobs().delete(name=f"namespaces/{namespace}/jobs/{job_name}").execute()

    @staticmethod
    def run(client: Any, namespace: str, job_name: str) -> dict[str, Any]:
        """Start an execution of a job."""
        return client.jobs().run(name=f"namespaces/{namespace}/jobs/{job_name}").execute()


class Execution(_Answer):
    """An execution of a job, as Cloud Run's API v1 tells of it."""

    name: str
    namespace: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: dict[str, Any] = Field(default_factory=dict)
    status: dict[str, Any] = Field(default_factory=dict)
    log_uri: str = ""

    def is_running(self) -> bool:
        """Say whether it has not ended."""
        return self.status.get("completionTime") is None

    def condition_after_completion(self) -> dict[str, Any] | None:
        """Return the condition that says how it ended, or None."""
        return next((one for one in self.status.get("conditions") or [] if one.get("type") == "Completed"), None)

    def succeeded(self) -> bool:
        """Say whether it ended well."""
        return (self.condition_after_completion() or {}).get("status") == "True"

    @classmethod
    def get(cls, client: Any, namespace: str, execution_name: str) -> Self:
        """Ask for an execution."""
        found = client.executions().get(name=f"namespaces/{namespace}/executions/{execution_name}").execute()
        status = found.get("status") or {}
        return cls(
            name=found["metadata"]["name"],
            namespace=found["metadata"]["namespace"],
            metadata=found["metadata"],
            spec=found["spec"],
            status=status,
            log_uri=status.get("logUri") or "",
        )
