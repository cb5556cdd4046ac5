"""Glue: `GlueJobBlock` starts runs of a job, and `GlueJobRun` follows one."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from headrace.blocks.abstract import JobBlock, JobRun
from headrace.utilities.asyncutils import asleep, blocking, offload, twins
from headrace_aws.credentials import AwsCredentials
from headrace_aws.errors import Sort, explaining, meaning_of
from headrace_aws.requests import ONCE, once

UNREACHABLE_SECONDS_MAX = 1800.0
"""How long Glue may fail to answer while a run is watched."""
_FAILED = ("FAILED", "STOPPED", "ERROR", "TIMEOUT", "EXPIRED")


class GlueJobRun(BaseModel, JobRun[str]):
    """A run of a Glue job that `GlueJobBlock.trigger` started."""

    model_config = ConfigDict(defer_build=True)

    job_name: str = Field(description="The name of the job.")
    job_id: str = Field(description="The id of this run.")
    job_watch_poll_interval: float = Field(default=60.0, description="How often the run's state is asked for, in seconds.")
    aws_credentials: AwsCredentials = Field(default_factory=AwsCredentials, description="The credentials to ask with.")

    async def afetch_result(self) -> str:
        """Return the run's state as Glue tells it now: `RUNNING`, `SUCCEEDED`, …"""
        return (await offload(self._read))["JobRunState"]

    async def await_for_completion(self) -> None:
        """Wait until the run has ended; a Glue that does not answer is asked again for half an hour.

        Raises RuntimeError with Glue's message when it did not end well, AwsError when it cannot be followed.
        """
        self.logger.info("Waiting for the Glue job %s, run %s", self.job_name, self.job_id)
        lost_since: float | None = None
        told = ""
        while True:
            try:
                found = await offload(self._read)
                lost_since = None
            except RuntimeError as error:
                meaning = meaning_of(error.__cause__) if isinstance(error.__cause__, Exception) else None
                lost_since = lost_since or time.monotonic()
                is_passing = meaning is not None and meaning.sort in (Sort.UNREACHABLE, Sort.BUSY)
                if not is_passing or time.monotonic() - lost_since > UNREACHABLE_SECONDS_MAX:
                    raise
                self.logger.warning("Asking again: %s", error)
            else:
                state = found["JobRunState"]
                if state == "SUCCEEDED":
                    self.logger.info("The Glue job %s succeeded, run %s", self.job_name, self.job_id)
                    return
                if state in _FAILED:
                    said = found.get("ErrorMessage") or "Glue gives no reason; look at the run's log."
                    raise RuntimeError(f"The run {self.job_id} of the Glue job {self.job_name!r} ended as {state}: {said}")
                if state != told:
                    told = state
                    self.logger.info("The Glue job %s is %s, run %s", self.job_name, state, self.job_id)
            await asleep(self.job_watch_poll_interval)

    fetch_result = blocking(afetch_result)
    wait_for_completion = blocking(await_for_completion)

    def _read(self) -> dict[str, Any]:
        with explaining(f"The run {self.job_id} of the Glue job {self.job_name!r} cannot be followed", self.aws_credentials):
            return self.aws_credentials.get_client("glue").get_job_run(JobName=self.job_name, RunId=self.job_id)["JobRun"]


class GlueJobBlock(JobBlock[str]):
    """Execute a job of the AWS Glue service.

    Example:
        ```python
        from headrace_aws.glue_job import GlueJobBlock

        run = GlueJobBlock(job_name="nightly", arguments={"--day": "2024-05-01"}).trigger()
        run.wait_for_completion()
        state = run.fetch_result()
        ```
    """

    _block_type_name: ClassVar[str | None] = "GlueJobBlock"
    _block_type_slug: ClassVar[str | None] = "gluejobblock"

    job_name: str = Field(description="The name of the job definition to use.", title="AWS Glue Job Name")
    arguments: dict[str, Any] | None = Field(
        default=None,
        description="Arguments of this run, which go before the job's own. They may be logged: keep secrets in Secrets Manager.",
        title="AWS Glue Job Arguments",
    )
    job_watch_poll_interval: float = Field(
        default=60.0,
        description="How often a run's state is asked for, in seconds. Glue 2.0 and later charge for a minute at least.",
    )
    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials, description="The credentials to run the job with.", title="AWS credentials"
    )

    def trigger(self) -> GlueJobRun:
        """Start a run of the job and return it, without waiting for its end.

        The request is repeated only when Glue certainly did not take it. Raises `AwsError` when there is no such job, or it may not be run.
        """
        client = self.aws_credentials.get_client("glue", **ONCE)
        asked = {"JobName": self.job_name, **({"Arguments": self.arguments} if self.arguments is not None else {})}
        with explaining(f"The Glue job {self.job_name!r} cannot be started", self.aws_credentials):
            started = once(lambda: client.start_job_run(**asked))
        self.logger.info("Started the Glue job %s, run %s", self.job_name, started["JobRunId"])
        return GlueJobRun(
            job_name=self.job_name,
            job_id=started["JobRunId"],
            job_watch_poll_interval=self.job_watch_poll_interval,
            aws_credentials=self.aws_credentials,
        )

    trigger, atrigger = twins(trigger)
