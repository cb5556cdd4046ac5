"""Module containing models used for passing data to dbt Cloud."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from headrace.context import FlowRunContext, TaskRunContext


def default_cause_factory() -> str:
    """Return the cause of a job run that this code triggers: headrace, and the run that it is part of."""
    task, flow = TaskRunContext.get(), FlowRunContext.get()
    if task is not None:
        return f"Triggered via headrace in task run {task.task_run.name}"
    if flow is not None:
        return f"Triggered via headrace in flow run {flow.flow_run.name}"
    return "Triggered via headrace"


class TriggerJobRunOptions(BaseModel):
    """What a job run that is triggered does otherwise than the job says. What is not set is as in the job."""

    model_config = ConfigDict(defer_build=True)

    cause: str = Field(default_factory=default_cause_factory, description="A text description of the reason for running this job.")
    git_sha: str | None = Field(default=None, description="The git sha to check out before running this job.")
    git_branch: str | None = Field(default=None, description="The git branch to check out before running this job.")
    schema_override: str | None = Field(default=None, description="Override the destination schema in the configured target for this job.")
    dbt_version_override: str | None = Field(default=None, description="Override the version of dbt used to run this job.")
    threads_override: int | None = Field(default=None, description="Override the number of threads used to run this job.")
    target_name_override: str | None = Field(default=None, description="Override the target.name context variable used when running this job.")
    generate_docs_override: bool | None = Field(default=None, description="Override whether or not this job generates docs.")
    timeout_seconds_override: int | None = Field(default=None, description="Override the timeout in seconds for this job.")
    steps_override: list[str] | None = Field(default=None, description="Override the list of steps for this job.")
