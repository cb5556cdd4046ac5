"""Batch: a task that submits a job."""

from __future__ import annotations

from typing import Any

from headrace_aws.credentials import AwsCredentials, ClientType
from headrace_aws.errors import explaining
from headrace_aws.requests import ONCE, once
from headrace_aws.tasks import logger, twin_tasks


def _submit(job_name: str, job_queue: str, job_definition: str, aws_credentials: AwsCredentials, **batch_kwargs: Any) -> str:
    """Submit a job to AWS Batch and return its id, without waiting for it. `batch_kwargs` go to boto3's `submit_job`.

    The request is repeated only when AWS certainly did not take it, so that no job runs twice. Raises `AwsError` when there is no such queue or
    definition, or the job may not be submitted.
    """
    logger().info("Submitting job %s to the queue %s", job_name, job_queue)
    client = aws_credentials.get_client(ClientType.BATCH, **ONCE)
    with explaining(f"The job {job_name!r} cannot be submitted to the queue {job_queue!r}", aws_credentials):
        answer = once(lambda: client.submit_job(jobName=job_name, jobQueue=job_queue, jobDefinition=job_definition, **batch_kwargs))
    return answer["jobId"]


batch_submit, abatch_submit = twin_tasks(_submit, "batch_submit")
