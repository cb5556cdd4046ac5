"""Jobs and executions, as Cloud Run's API v2 tells of them (cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs)."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

LaunchStage = Literal["ALPHA", "BETA", "GA", "DEPRECATED", "EARLY_ACCESS", "PRELAUNCH", "UNIMPLEMENTED", "LAUNCH_TAG_UNSPECIFIED"]


class SecretKeySelector(BaseModel):
    """A version of a secret in Secret Manager, for a variable of a job's environment."""

    model_config = ConfigDict(defer_build=True)

    secret: str = Field(description="The secret's name; for another project's: projects/PROJECT/secrets/NAME.")
    version: str = Field(default="latest", description="Its version: a number, or latest.")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", defer_build=True)

    name: str
    uid: str = ""
    generation: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    createTime: str = ""
    deleteTime: str | None = None
    expireTime: str | None = None
    launchStage: LaunchStage = "GA"
    template: dict[str, Any] = Field(default_factory=dict)
    reconciling: bool = False
    conditions: list[dict[str, Any]] = Field(default_factory=list)
    observedGeneration: str | None = None
    satisfiesPzs: bool = False
    etag: str | None = None


class JobV2(_Answer):
    """A job. `cr_client` is googleapiclient's `build("run", "v2")`."""

    updateTime: str = ""
    creator: str | None = None
    lastModifier: str | None = None
    client: str | None = None
    clientVersion: str | None = None
    binaryAuthorization: dict[str, Any] = Field(default_factory=dict)
    terminalCondition: dict[str, Any] = Field(default_factory=dict)
    executionCount: int = 0
    latestCreatedExecution: dict[str, Any] = Field(default_factory=dict)

    def is_ready(self) -> bool:
        """Say whether it can be run. Raises `RuntimeError` when it cannot be made ready."""
        ready = self.get_ready_condition()
        if ready.get("state") == "CONDITION_FAILED":
            raise RuntimeError(f"The job {self.name} cannot be run: {ready.get('message') or ready.get('reason')}")
        return ready.get("state") == "CONDITION_SUCCEEDED"

    def get_ready_condition(self) -> dict[str, Any]:
        """Return the condition that says whether it is ready; empty when there is none."""
        return self.terminalCondition if self.terminalCondition.get("type") == "Ready" else {}

    @classmethod
    def get(cls, cr_client: Any, project: str, location: str, job_name: str) -> Self:
        """Ask for a job."""
        return cls.model_validate(cr_client.projects().locations().jobs().get(name=_path(project, location, job_name)).execute())

    @staticmethod
    def create(cr_client: Any, project: str, location: str, job_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create a job; it is not ready at once."""
        jobs = cr_client.projects().locations().jobs()
        return jobs.create(parent=f"projects/{project}/locations/{location}", jobId=job_id, body=body).execute()

    @staticmethod
    def delete(cr_client: Any, project: str, location: str, job_name: str) -> dict[str, Any]:
        """Delete a job."""
        return cr_client.projects().locations().jobs().delete(name=_path(project, location, job_name)).execute()

    @staticmethod
    def run(cr_client: Any, project: str, location: str, job_name: str) -> dict[str, Any]:
        """Start an execution of a job."""
        return cr_client.projects().locations().jobs().run(name=_path(project, location, job_name)).execute()


class ExecutionV2(_Answer):
    """An execution of a job."""

    startTime: str | None = None
    completionTime: str | None = None
    job: str = ""
    parallelism: int = 0
    taskCount: int = 0
    runningCount: int | None = None
    succeededCount: int | None = None
    failedCount: int | None = None
    cancelledCount: int | None = None
    retriedCount: int | None = None
    logUri: str = ""

    def is_running(self) -> bool:
        """Say whether it has not ended."""
        return self.completionTime is None

    def condition_after_completion(self) -> dict[str, Any]:
        """Return the condition that says how it ended; empty when there is none."""
        return next((one for one in self.conditions if one.get("type") == "Completed"), {})

    def succeeded(self) -> bool:
        """Say whether it ended well."""
        return self.condition_after_completion().get("state") == "CONDITION_SUCCEEDED"

    @classmethod
    def get(cls, cr_client: Any, execution_id: str) -> Self:
        """Ask for an execution by its whole name, `projects/…/locations/…/jobs/…/executions/…`."""
        return cls.model_validate(cr_client.projects().locations().jobs().executions().get(name=execution_id).execute())


def _path(project: str, location: str, job_name: str) -> str:
    return f"projects/{project}/locations/{location}/jobs/{job_name}"
