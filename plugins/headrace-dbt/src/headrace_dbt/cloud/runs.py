"""Module containing tasks and flows for interacting with dbt Cloud job runs."""

from __future__ import annotations

import time
from enum import Enum
from typing import Any

import httpx

from headrace import get_run_logger
from headrace.logging import get_logger
from headrace.utilities.asyncutils import asleep
from headrace_dbt.calls import AsyncFlow, AsyncTask, settled
from headrace_dbt.cloud.clients import RelatedField, data_of, json_of
from headrace_dbt.cloud.credentials import DbtCloudCredentials
from headrace_dbt.cloud.exceptions import (
    DbtCloudGetRunArtifactFailed,
    DbtCloudGetRunFailed,
    DbtCloudJobRunTimedOut,
    DbtCloudListRunArtifactsFailed,
)
from headrace_dbt.cloud.utils import RETRIES, RETRY_DELAY_SECONDS, is_worth_a_retry, told

FAILED_LOOKS_MAX = 5
"""How many looks at a run in a row may fail before waiting for it is given up."""
FIRST_REPORT_SECONDS = 60.0
"""The age at which a run is logged to go on; then each time it has doubled."""


class DbtCloudJobRunStatus(Enum):
    """dbt Cloud job statuses."""

    QUEUED = 1
    STARTING = 2
    RUNNING = 3
    SUCCESS = 10
    FAILED = 20
    CANCELLED = 30

    @classmethod
    def is_terminal_status_code(cls, status_code: Any) -> bool:
        """Return True if a status code is terminal for a job run. Returns False otherwise."""
        return status_code in (cls.SUCCESS.value, cls.FAILED.value, cls.CANCELLED.value)


def run_logger() -> Any:
    """Return the run's logger, or an ordinary one outside runs."""
    try:
        return get_run_logger()
    except RuntimeError:  # no run is active
        return get_logger("dbt")


async def read_run(credentials: DbtCloudCredentials, run_id: int, include_related: list[RelatedField] | None = None) -> dict[str, Any]:
    """Return what dbt Cloud says of a run. Raises `DbtCloudGetRunFailed`."""
    try:
        with credentials.get_administrative_client() as client:
            return data_of(await settled(client.get_run(run_id, include_related)))
    except httpx.HTTPError as error:
        raise DbtCloudGetRunFailed(f"Run {run_id} could not be retrieved. {told(error)}") from error


async def read_artifact_paths(credentials: DbtCloudCredentials, run_id: int, step: int | None = None) -> list[str]:
    """Return the paths of a run's artifacts. Raises `DbtCloudListRunArtifactsFailed`."""
    try:
        with credentials.get_administrative_client() as client:
            return data_of(await settled(client.list_run_artifacts(run_id, step)))
    except httpx.HTTPError as error:
        raise DbtCloudListRunArtifactsFailed(f"The artifacts of run {run_id} could not be listed. {told(error)}") from error


async def read_artifact(credentials: DbtCloudCredentials, run_id: int, path: str, step: int | None = None) -> dict[str, Any] | str:
    """Return an artifact of a run, parsed if its path ends with `.json`. Raises `DbtCloudGetRunArtifactFailed`."""
    try:
        with credentials.get_administrative_client() as client:
            response = await settled(client.get_run_artifact(run_id, path, step))
        return json_of(response) if path.endswith(".json") else response.text
    except httpx.HTTPError as error:
        raise DbtCloudGetRunArtifactFailed(f"The artifact {path!r} of run {run_id} could not be had. {told(error)}") from error


async def wait_until_ended(
    credentials: DbtCloudCredentials, run_id: int, max_wait_seconds: float, poll_frequency_seconds: float
) -> tuple[DbtCloudJobRunStatus, dict[str, Any]]:
    """Look at a run every so often until it has ended, and return its status and data.

    Each change of status is logged and, for a run that takes long, that it goes on. A few failed looks in a row are forgiven. Raises
    `DbtCloudJobRunTimedOut` when the time is up.
    """
    logger = run_logger()
    began, report_at, failed, last = time.monotonic(), FIRST_REPORT_SECONDS, 0, None
    while True:
        try:
            data = await read_run(credentials, run_id)
            failed = 0
        except DbtCloudGetRunFailed as error:
            cause = error.__cause__
            failed += 1
            is_passing = not isinstance(cause, httpx.HTTPStatusError) or cause.response.status_code in (408, 429) or cause.response.status_code >= 500
            if not is_passing or failed >= FAILED_LOOKS_MAX:
                raise
            logger.warning("%s It is looked for again in %s seconds.", error, poll_frequency_seconds)
            data = {}
        code = data.get("status", last)
        if code != last:
            last = code
            status = DbtCloudJobRunStatus(code) if code in [one.value for one in DbtCloudJobRunStatus] else None
            logger.info("dbt Cloud job run with ID %s has status %s.", run_id, status.name if status else code)
        if DbtCloudJobRunStatus.is_terminal_status_code(code):
            return DbtCloudJobRunStatus(code), data
        waited = time.monotonic() - began
        if waited >= max_wait_seconds:
            raise DbtCloudJobRunTimedOut(
                f"Max wait time of {max_wait_seconds} seconds exceeded while waiting for job run with ID {run_id}. It goes on in dbt Cloud."
            )
        if waited >= report_at:
            logger.info("dbt Cloud job run with ID %s has not ended after %.0f seconds.", run_id, waited)
            report_at *= 2
        await asleep(min(poll_frequency_seconds, max_wait_seconds - waited))


async def _get_run_info(dbt_cloud_credentials: DbtCloudCredentials, run_id: int, include_related: list[RelatedField] | None = None) -> dict[str, Any]:
    """Return what dbt Cloud says of a job run.

    `include_related`: what to add of `trigger`, `job`, `debug_logs` and `run_steps`; without `debug_logs`, the logs are cut to their last 1,000
    lines. Raises `DbtCloudGetRunFailed`.
    """
    return await read_run(dbt_cloud_credentials, run_id, include_related)


async def _list_artifacts(dbt_cloud_credentials: DbtCloudCredentials, run_id: int, step: int | None = None) -> list[str]:
    """Return the paths of the artifacts that a completed run made; of one step, counted from 1, or of the last.

    Raises `DbtCloudListRunArtifactsFailed`.
    """
    return await read_artifact_paths(dbt_cloud_credentials, run_id, step)


async def _get_artifact(dbt_cloud_credentials: DbtCloudCredentials, run_id: int, path: str, step: int | None = None) -> dict[str, Any] | str:
    """Return an artifact of a completed run: a dictionary for a path that ends with `.json`, else text.

    `step`: of which step, counted from 1; default the last. Raises `DbtCloudGetRunArtifactFailed`.
    """
    return await read_artifact(dbt_cloud_credentials, run_id, path, step)


async def _wait_for_run(
    run_id: int, dbt_cloud_credentials: DbtCloudCredentials, max_wait_seconds: int = 900, poll_frequency_seconds: int = 10
) -> tuple[DbtCloudJobRunStatus, dict[str, Any]]:
    """Wait for a job run to end, and return its final status and what dbt Cloud says of it.

    Raises `DbtCloudJobRunTimedOut` after `max_wait_seconds`.

    Example:
        ```python
        import asyncio
        from headrace_dbt.cloud import DbtCloudCredentials
        from headrace_dbt.cloud.runs import wait_for_dbt_cloud_job_run

        credentials = DbtCloudCredentials(api_key="my_api_key", account_id=123456789)
        status, data = asyncio.run(wait_for_dbt_cloud_job_run(run_id=42, dbt_cloud_credentials=credentials))
        ```
    """
    return await wait_until_ended(dbt_cloud_credentials, run_id, max_wait_seconds, poll_frequency_seconds)


_reads: dict[str, Any] = {"retries": RETRIES, "retry_delay_seconds": RETRY_DELAY_SECONDS, "retry_condition_fn": is_worth_a_retry}

get_dbt_cloud_run_info = AsyncTask(_get_run_info, name="Get dbt Cloud job run details", **_reads)
list_dbt_cloud_run_artifacts = AsyncTask(_list_artifacts, name="List dbt Cloud job artifacts", **_reads)
get_dbt_cloud_run_artifact = AsyncTask(_get_artifact, name="Get dbt Cloud job artifact", **_reads)
wait_for_dbt_cloud_job_run = AsyncFlow(
    _wait_for_run, name="Wait for dbt Cloud job run", description="Waits for the given dbt Cloud job run to finish running."
)
