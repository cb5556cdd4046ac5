"""Module containing tasks and flows for interacting with dbt Cloud jobs."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal, Self

import httpx
from pydantic import Field

from headrace.blocks.abstract import JobBlock, JobRun
from headrace.tasks import Task
from headrace.utilities.asyncutils import blocking
from headrace_dbt.calls import AsyncFlow, AsyncTask, settled
from headrace_dbt.cloud.clients import data_of
from headrace_dbt.cloud.credentials import DbtCloudCredentials
from headrace_dbt.cloud.exceptions import (
    DbtCloudCreateJobFailed,
    DbtCloudDeleteJobFailed,
    DbtCloudGetJobFailed,
    DbtCloudJobRunCancelled,
    DbtCloudJobRunFailed,
    DbtCloudJobRunIncomplete,
    DbtCloudJobRunTriggerFailed,
    DbtCloudListRunArtifactsFailed,
)
from headrace_dbt.cloud.models import TriggerJobRunOptions
from headrace_dbt.cloud.retrying import steps_to_retry
from headrace_dbt.cloud.runs import (
    DbtCloudJobRunStatus,
    get_dbt_cloud_run_artifact,
    get_dbt_cloud_run_info,
    list_dbt_cloud_run_artifacts,
    read_artifact,
    read_artifact_paths,
    read_run,
    run_logger,
    wait_for_dbt_cloud_job_run,
    wait_until_ended,
)
from headrace_dbt.cloud.utils import RETRIES, RETRY_DELAY_SECONDS, is_worth_a_retry, may_be_sent_again, told

__all__ = [
    "DbtCloudJob",
    "DbtCloudJobRun",
    "create_dbt_cloud_job",
    "delete_dbt_cloud_job",
    "get_dbt_cloud_job_info",
    "get_dbt_cloud_run_artifact",
    "get_dbt_cloud_run_info",
    "get_run_id",
    "list_dbt_cloud_run_artifacts",
    "retry_dbt_cloud_job_run_subset_and_wait_for_completion",
    "run_dbt_cloud_job",
    "trigger_dbt_cloud_job_run",
    "trigger_dbt_cloud_job_run_and_wait_for_completion",
    "wait_for_dbt_cloud_job_run",
]


class RunData(dict[str, Any]):
    """What dbt Cloud says of a run. It can be awaited, which gives itself: a documented example awaits what a flow has returned."""

    def __await__(self) -> Generator[Any, None, Self]:
        yield from ()
        return self


# --- single calls -----------------------------------------------------------------------------------------------------


async def _read_job(credentials: DbtCloudCredentials, job_id: int, order_by: str | None) -> dict[str, Any]:
    try:
        with credentials.get_administrative_client() as client:
            return data_of(await settled(client.get_job(job_id, order_by)))
    except httpx.HTTPError as error:
        raise DbtCloudGetJobFailed(f"Job {job_id} could not be retrieved. {told(error)}") from error


async def _start_run(credentials: DbtCloudCredentials, job_id: int, options: TriggerJobRunOptions | None) -> dict[str, Any]:
    logger = run_logger()
    logger.info("Triggering run for job with ID %s", job_id)
    try:
        with credentials.get_administrative_client() as client:
            data: dict[str, Any] = data_of(await settled(client.trigger_job_run(job_id, options)))
    except httpx.HTTPError as error:
        raise DbtCloudJobRunTriggerFailed(f"A run of job {job_id} could not be triggered. {told(error)}") from error
    address = f" You can view the status of this run at {data['href']}" if data.get("href") else ""
    logger.info("Run successfully triggered for job with ID %s: run %s.%s", job_id, data.get("id"), address)
    return data


async def _get_job_info(dbt_cloud_credentials: DbtCloudCredentials, job_id: int, order_by: str | None = None) -> dict[str, Any]:
    """Return what dbt Cloud says of a job. Raises `DbtCloudGetJobFailed`."""
    return await _read_job(dbt_cloud_credentials, job_id, order_by)


async def _create_job(
    dbt_cloud_credentials: DbtCloudCredentials,
    project_id: int,
    environment_id: int,
    name: str,
    execute_steps: list[str] | None = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """Create a dbt Cloud job and return it. `execute_steps`: default `["dbt build"]`. `kwargs`: more of the job's fields.

    Raises `DbtCloudCreateJobFailed`; tried again only when dbt Cloud surely did nothing.
    """
    try:
        with dbt_cloud_credentials.get_administrative_client() as client:
            return data_of(await settled(client.create_job(project_id, environment_id, name, execute_steps, **kwargs)))
    except httpx.HTTPError as error:
        raise DbtCloudCreateJobFailed(f"Job {name!r} could not be created. {told(error)}") from error


async def _delete_job(dbt_cloud_credentials: DbtCloudCredentials, job_id: int) -> None:
    """Delete a dbt Cloud job. Raises `DbtCloudDeleteJobFailed`."""
    try:
        with dbt_cloud_credentials.get_administrative_client() as client:
            await settled(client.delete_job(job_id))
    except httpx.HTTPError as error:
        raise DbtCloudDeleteJobFailed(f"Job {job_id} could not be deleted. {told(error)}") from error


async def _trigger_run(dbt_cloud_credentials: DbtCloudCredentials, job_id: int, options: TriggerJobRunOptions | None = None) -> dict[str, Any]:
    """Trigger a run of a dbt Cloud job and return what dbt Cloud says of it. `options` change what the run does.

    Raises `DbtCloudJobRunTriggerFailed`; tried again only when dbt Cloud surely did nothing, so that no run is started twice.

    Example:
        ```python
        from headrace import flow
        from headrace_dbt.cloud import DbtCloudCredentials
        from headrace_dbt.cloud.jobs import trigger_dbt_cloud_job_run

        @flow
        def trigger_dbt_cloud_job_run_flow():
            credentials = DbtCloudCredentials(api_key="my_api_key", account_id=123456789)
            trigger_dbt_cloud_job_run(dbt_cloud_credentials=credentials, job_id=1)
        ```
    """
    return await _start_run(dbt_cloud_credentials, job_id, options)


_tries: dict[str, Any] = {"retries": RETRIES, "retry_delay_seconds": RETRY_DELAY_SECONDS}

get_dbt_cloud_job_info = AsyncTask(_get_job_info, name="Get dbt Cloud job details", retry_condition_fn=is_worth_a_retry, **_tries)
create_dbt_cloud_job = AsyncTask(_create_job, name="Create dbt Cloud job", retry_condition_fn=may_be_sent_again, **_tries)
delete_dbt_cloud_job = AsyncTask(_delete_job, name="Delete dbt Cloud job", retry_condition_fn=is_worth_a_retry, **_tries)
trigger_dbt_cloud_job_run = AsyncTask(_trigger_run, name="Trigger dbt Cloud job run", retry_condition_fn=may_be_sent_again, **_tries)


def _run_id(obj: dict[str, Any]) -> Any:
    """Return the run's id from what triggering a run has returned."""
    return obj["id"]


get_run_id = Task(_run_id, name="Get dbt Cloud job run ID")


# --- a job as a block ---------------------------------------------------------------------------------------------------


class DbtCloudJobRun(JobRun[dict[str, Any]]):
    """A run of a dbt Cloud job: `DbtCloudJob.trigger` returns it."""

    def __init__(self, run_id: int, dbt_cloud_job: DbtCloudJob) -> None:
        self.run_id = run_id
        self._dbt_cloud_job = dbt_cloud_job

    @property
    def dbt_cloud_credentials(self) -> DbtCloudCredentials:
        """The credentials of the job."""
        return self._dbt_cloud_job.dbt_cloud_credentials

    async def aget_run(self) -> dict[str, Any]:
        """Return what dbt Cloud says of the run. Raises `DbtCloudGetRunFailed`."""
        return await read_run(self.dbt_cloud_credentials, self.run_id)

    async def aget_status_code(self) -> int:
        """Return the code of the run's status; see `DbtCloudJobRunStatus`."""
        return (await self.aget_run())["status"]

    async def await_for_completion(self) -> None:
        """Wait until the run has ended, well or not. Raises `DbtCloudJobRunTimedOut` after the job's `timeout_seconds`."""
        job = self._dbt_cloud_job
        await wait_until_ended(self.dbt_cloud_credentials, self.run_id, job.timeout_seconds, job.interval_seconds)

    async def afetch_result(self, step: int | None = None) -> dict[str, Any]:
        """Return what dbt Cloud says of the run, with the paths of its artifacts under `artifact_paths`.

        `step`: whose artifacts, counted from 1; default the last step's. Raises `DbtCloudJobRunIncomplete` before the run has ended,
        `DbtCloudJobRunFailed` and `DbtCloudJobRunCancelled` when it did not succeed.
        """
        data = await self.aget_run()
        return await _result_of(self.dbt_cloud_credentials, self.run_id, data, step)

    async def aget_run_artifacts(
        self, path: Literal["manifest.json", "catalog.json", "run_results.json"], step: int | None = None
    ) -> dict[str, Any] | str:
        """Return an artifact of the completed run: a dictionary for JSON, else text. `step`: of which step, counted from 1; default the last.

        Raises `DbtCloudGetRunArtifactFailed`.
        """
        return await read_artifact(self.dbt_cloud_credentials, self.run_id, path, step)

    async def aretry_failed_steps(self) -> DbtCloudJobRun:
        """Trigger a run of what did not succeed in this one, and return it. A command is narrowed to the nodes that failed or were skipped.

        Raises `DbtCloudJobRunIncomplete` before this run has ended and `ValueError` when the job's options set `steps_override`.
        """
        job = self._dbt_cloud_job
        options = await _retry_options(self.dbt_cloud_credentials, self.run_id, job.trigger_job_run_options)
        return await job.atrigger(options)

    get_run = blocking(aget_run)
    get_status_code = blocking(aget_status_code)
    wait_for_completion = blocking(await_for_completion)
    fetch_result = blocking(afetch_result)
    get_run_artifacts = blocking(aget_run_artifacts)
    retry_failed_steps = blocking(aretry_failed_steps)


class DbtCloudJob(JobBlock[dict[str, Any]]):
    """A job of dbt Cloud, to be triggered and waited for.

    Example:
        ```python
        from headrace import flow
        from headrace_dbt.cloud import DbtCloudCredentials, DbtCloudJob

        @flow
        def dbt_cloud_job_flow():
            dbt_cloud_credentials = DbtCloudCredentials.load("dbt-token")
            dbt_cloud_job = DbtCloudJob(dbt_cloud_credentials=dbt_cloud_credentials, job_id=154217)
            dbt_cloud_job_run = dbt_cloud_job.trigger()
            dbt_cloud_job_run.wait_for_completion()
            return dbt_cloud_job_run.fetch_result()
        ```
    """

    _block_type_name = "dbt Cloud Job"
    _block_type_slug = "dbt-cloud-job"

    dbt_cloud_credentials: DbtCloudCredentials = Field(description="The dbt Cloud credentials to use.")
    job_id: int = Field(title="Job ID", description="The id of the dbt Cloud job.")
    timeout_seconds: int = Field(default=900, description="The number of seconds to wait for the job to complete.")
    interval_seconds: int = Field(default=10, description="The number of seconds to wait between polling for job completion.")
    trigger_job_run_options: TriggerJobRunOptions = Field(
        default_factory=TriggerJobRunOptions, description="The options to use when triggering a job run."
    )

    async def aget_job(self, order_by: str | None = None) -> dict[str, Any]:
        """Return what dbt Cloud says of the job. Raises `DbtCloudGetJobFailed`."""
        return await _read_job(self.dbt_cloud_credentials, self.job_id, order_by)

    async def atrigger(self, trigger_job_run_options: TriggerJobRunOptions | None = None) -> DbtCloudJobRun:
        """Trigger a run of the job and return it. The options given win over those of the block. Raises `DbtCloudJobRunTriggerFailed`."""
        data = await _start_run(self.dbt_cloud_credentials, self.job_id, trigger_job_run_options or self.trigger_job_run_options)
        return DbtCloudJobRun(data["id"], self)

    get_job = blocking(aget_job)
    trigger = blocking(atrigger)


async def _result_of(credentials: DbtCloudCredentials, run_id: int, data: dict[str, Any], step: int | None = None) -> dict[str, Any]:
    """Return the data of a run that succeeded, with the paths of its artifacts; raise for any other."""
    code = data.get("status")
    if code == DbtCloudJobRunStatus.SUCCESS.value:
        try:
            data["artifact_paths"] = await read_artifact_paths(credentials, run_id, step)
        except DbtCloudListRunArtifactsFailed as error:
            run_logger().warning("Run %s has succeeded, but: %s", run_id, error)
        return data
    address = f" See {data['href']}." if data.get("href") else ""
    if code == DbtCloudJobRunStatus.CANCELLED.value:
        raise DbtCloudJobRunCancelled(f"dbt Cloud job run with ID {run_id} was cancelled.{address}")
    if code == DbtCloudJobRunStatus.FAILED.value:
        said = f" {data['status_message']}" if data.get("status_message") else ""
        raise DbtCloudJobRunFailed(f"dbt Cloud job run with ID {run_id} failed.{said}{address}")
    raise DbtCloudJobRunIncomplete(f"dbt Cloud job run with ID {run_id} has not ended yet (status {code}). Wait for its completion first.{address}")


async def _retry_options(credentials: DbtCloudCredentials, run_id: int, options: TriggerJobRunOptions | None) -> TriggerJobRunOptions:
    """Return options for a run that repeats what did not succeed in another one."""
    if options is not None and options.steps_override is not None:
        raise ValueError(
            "Do not set `steps_override` in the options of a run that is to be retried in part: the steps are made of those that failed. "
            f"It is set to {options.steps_override}."
        )
    steps = await steps_to_retry(credentials, run_id)
    return (options or TriggerJobRunOptions()).model_copy(update={"steps_override": steps or None})


# --- flows --------------------------------------------------------------------------------------------------------------


async def _wait_and_check(credentials: DbtCloudCredentials, run_id: int, max_wait_seconds: int, poll_frequency_seconds: int) -> dict[str, Any]:
    status, data = await settled(wait_for_dbt_cloud_job_run(run_id, credentials, max_wait_seconds, poll_frequency_seconds))
    run_logger().info("dbt Cloud job run with ID %s ended as %s.", run_id, status.name)
    return RunData(await _result_of(credentials, run_id, data))


async def _retry_subset(
    dbt_cloud_credentials: DbtCloudCredentials,
    run_id: int,
    trigger_job_run_options: TriggerJobRunOptions | None = None,
    max_wait_seconds: int = 900,
    poll_frequency_seconds: int = 10,
) -> dict[str, Any]:
    """Retry what did not succeed in a dbt Cloud job run, wait for it, and return what dbt Cloud says of the new run.

    Commands are narrowed to the nodes that failed or were skipped; those that left no results are repeated whole. Raises `ValueError` if
    `trigger_job_run_options.steps_override` is set, and as `trigger_dbt_cloud_job_run_and_wait_for_completion`.
    """
    return await _retried(dbt_cloud_credentials, run_id, trigger_job_run_options, max_wait_seconds, poll_frequency_seconds, 1)


async def _trigger_and_wait(
    dbt_cloud_credentials: DbtCloudCredentials,
    job_id: int,
    trigger_job_run_options: TriggerJobRunOptions | None = None,
    max_wait_seconds: int = 900,
    poll_frequency_seconds: int = 10,
    retry_filtered_models_attempts: int = 3,
) -> dict[str, Any]:
    """Trigger a run of a dbt Cloud job, wait for it, and return what dbt Cloud says of it, with `artifact_paths`.

    A run that fails is retried up to `retry_filtered_models_attempts` times, only what did not succeed. Raises `DbtCloudJobRunCancelled`,
    `DbtCloudJobRunFailed` when the last try failed, `DbtCloudJobRunTimedOut` and `DbtCloudJobRunTriggerFailed`.

    Example:
        ```python
        import asyncio
        from headrace_dbt.cloud import DbtCloudCredentials
        from headrace_dbt.cloud.jobs import trigger_dbt_cloud_job_run_and_wait_for_completion

        credentials = DbtCloudCredentials(api_key="my_api_key", account_id=123456789)
        asyncio.run(trigger_dbt_cloud_job_run_and_wait_for_completion(dbt_cloud_credentials=credentials, job_id=1))
        ```
    """
    triggered = await settled(trigger_dbt_cloud_job_run(dbt_cloud_credentials, job_id, trigger_job_run_options))
    run_id = get_run_id(triggered)
    try:
        return await _wait_and_check(dbt_cloud_credentials, run_id, max_wait_seconds, poll_frequency_seconds)
    except DbtCloudJobRunFailed:
        if retry_filtered_models_attempts <= 0 or (trigger_job_run_options is not None and trigger_job_run_options.steps_override is not None):
            raise
    attempts = retry_filtered_models_attempts
    return await _retried(dbt_cloud_credentials, run_id, trigger_job_run_options, max_wait_seconds, poll_frequency_seconds, attempts)


async def _retried(
    credentials: DbtCloudCredentials, run_id: int, options: TriggerJobRunOptions | None, max_wait: int, interval: int, attempts: int
) -> dict[str, Any]:
    for left in reversed(range(attempts)):
        chosen = await _retry_options(credentials, run_id, options)
        job_id = (await read_run(credentials, run_id))["job_definition_id"]
        run_logger().info("Retrying run %s of job %s with the steps %s.", run_id, job_id, chosen.steps_override or "of the job")
        run_id = (await settled(trigger_dbt_cloud_job_run(credentials, job_id, chosen)))["id"]
        try:
            return await _wait_and_check(credentials, run_id, max_wait, interval)
        except DbtCloudJobRunFailed:
            if not left:
                raise
    raise ValueError(f"At least one try is needed, not {attempts}.")


async def _run_job(dbt_cloud_job: DbtCloudJob, targeted_retries: int = 3) -> dict[str, Any]:
    """Trigger a dbt Cloud job, wait for its run, and return what dbt Cloud says of it, with `artifact_paths`.

    A run that fails is retried up to `targeted_retries` times, only what did not succeed. Raises as
    `trigger_dbt_cloud_job_run_and_wait_for_completion`.

    Example:
        ```python
        from headrace import flow
        from headrace_dbt.cloud import DbtCloudCredentials, DbtCloudJob
        from headrace_dbt.cloud.jobs import run_dbt_cloud_job

        @flow
        def run_dbt_cloud_job_flow():
            dbt_cloud_credentials = DbtCloudCredentials.load("dbt-token")
            dbt_cloud_job = DbtCloudJob(dbt_cloud_credentials=dbt_cloud_credentials, job_id=154217)
            return run_dbt_cloud_job(dbt_cloud_job=dbt_cloud_job)
        ```
    """
    job = dbt_cloud_job
    return await _trigger_and_wait(
        job.dbt_cloud_credentials, job.job_id, job.trigger_job_run_options, job.timeout_seconds, job.interval_seconds, targeted_retries
    )


trigger_dbt_cloud_job_run_and_wait_for_completion = AsyncFlow(
    _trigger_and_wait,
    name="Trigger dbt Cloud job run and wait for completion",
    description="Triggers a dbt Cloud job run and waits for the triggered run to complete.",
)
retry_dbt_cloud_job_run_subset_and_wait_for_completion = AsyncFlow(
    _retry_subset,
    name="Retry subset of dbt Cloud job run and wait for completion",
    description="Retries a subset of dbt Cloud job run, filtered by select statuses, and waits for the triggered retry to complete.",
)
run_dbt_cloud_job = AsyncFlow(
    _run_job, name="Run dbt Cloud job", description="Triggers a dbt Cloud job, waits for its run, and retries what did not succeed."
)
