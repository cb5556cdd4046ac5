"""Batch, Glue and waiters: against moto, and against botocore's Stubber for what moto cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from botocore.stub import Stubber

from headrace import flow
from headrace_aws import AwsCredentials, GlueJobBlock
from headrace_aws import requests as repeating
from headrace_aws.batch import batch_submit
from headrace_aws.client_waiter import aclient_waiter, client_waiter
from headrace_aws.errors import AwsError
from headrace_aws.glue_job import GlueJobRun
from headrace_aws.requests import ONCE, once

from .conftest import credentials_for


@contextmanager
def stubbed(service: str, **config: Any) -> Iterator[tuple[AwsCredentials, Stubber]]:
    """Give credentials of their own, whose client of the service answers what it is told to."""
    credentials = credentials_for("http://127.0.0.1:9", aws_access_key_id=uuid4().hex)
    with Stubber(credentials.get_client(service, **config)) as stubber:
        yield credentials, stubber


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "FIRST_PAUSE_SECONDS", 0.0)


# --- Glue


@pytest.fixture
def job(credentials: AwsCredentials) -> GlueJobBlock:
    name = f"job-{uuid4().hex}"
    client = credentials.get_client("glue")
    client.create_job(Name=name, Role="r", Command={"Name": "glueetl", "ScriptLocation": "s3://b/s.py"})
    return GlueJobBlock(job_name=name, arguments={"--day": "x"}, job_watch_poll_interval=0.01, aws_credentials=credentials)


def test_a_glue_job_runs_to_its_end(job: GlueJobBlock) -> None:
    @flow
    def work() -> str:
        run = job.trigger()
        run.wait_for_completion()
        return run.fetch_result()

    assert work() == "SUCCEEDED"


def test_async_flows_await_a_glue_job(job: GlueJobBlock) -> None:
    @flow
    async def work() -> str:
        run = await job.atrigger()
        await run.await_for_completion()
        return await run.afetch_result()

    assert asyncio.run(work()) == "SUCCEEDED"


def test_a_missing_glue_job_is_named(credentials: AwsCredentials) -> None:
    with pytest.raises(AwsError, match="'no-such-job' cannot be started"):
        GlueJobBlock(job_name="no-such-job", aws_credentials=credentials).trigger()


@pytest.mark.parametrize("state", ["FAILED", "STOPPED", "ERROR", "TIMEOUT"])
def test_a_glue_job_that_ends_badly_raises_what_glue_says(state: str) -> None:
    with stubbed("glue") as (credentials, stubber):
        stubber.add_response("get_job_run", {"JobRun": {"JobRunState": "RUNNING"}})
        stubber.add_client_error("get_job_run", "ThrottlingException", "slow down", 400)
        stubber.add_response("get_job_run", {"JobRun": {"JobRunState": state, "ErrorMessage": "the script raised"}})
        run = GlueJobRun(job_name="j", job_id="jr_1", job_watch_poll_interval=0.01, aws_credentials=credentials)
        with pytest.raises(RuntimeError, match=f"{state}: the script raised"):
            run.wait_for_completion()


def test_a_glue_job_that_may_not_be_followed_is_given_up() -> None:
    with stubbed("glue") as (credentials, stubber):
        stubber.add_client_error("get_job_run", "AccessDeniedException", "no", 400)
        with pytest.raises(AwsError, match="do not allow `GetJobRun`"):
            GlueJobRun(job_name="j", job_id="jr_1", aws_credentials=credentials).wait_for_completion()


# --- Batch


def test_a_batch_job_is_submitted_with_what_is_given() -> None:
    with stubbed("batch", **ONCE) as (credentials, stubber):
        stubber.add_client_error("submit_job", "TooManyRequestsException", "slow down", 429)
        expected = {"jobName": "n", "jobQueue": "q", "jobDefinition": "d", "parameters": {"a": "b"}}
        stubber.add_response("submit_job", {"jobName": "n", "jobId": "id-1"}, expected)

        @flow
        def work() -> str:
            return batch_submit("n", "q", "d", credentials, parameters={"a": "b"})

        assert work() == "id-1"
        stubber.assert_no_pending_responses()


def test_a_batch_queue_that_is_missing_is_named() -> None:
    with stubbed("batch", **ONCE) as (credentials, stubber):
        stubber.add_client_error("submit_job", "ClientException", "JobQueue not found", 400)

        @flow
        def work() -> None:
            batch_submit("n", "no-queue", "d", credentials)

        with pytest.raises(AwsError, match="'no-queue': ClientException: JobQueue not found"):
            work()


def test_a_request_is_made_again_only_when_it_was_not_taken() -> None:
    refused = ConnectTimeoutError(endpoint_url="http://there")
    lost = ReadTimeoutError(endpoint_url="http://there")
    made: list[Exception] = []

    def answering(*errors: Exception) -> Any:
        left = list(errors)

        def call() -> str:
            if left:
                made.append(left[0])
                raise left.pop(0)
            return "done"

        return call

    assert once(answering(refused, refused)) == "done"
    with pytest.raises(ReadTimeoutError):
        once(answering(lost))
    with pytest.raises(ConnectTimeoutError):
        once(answering(*[refused] * 9))
    assert made.count(lost) == 1
    assert made.count(refused) == 2 + repeating.TRIES


# --- waiters

WAITER = {
    "version": 2,
    "waiters": {
        "JobRunDone": {
            "operation": "GetJobRun",
            "delay": 0,
            "maxAttempts": 3,
            "acceptors": [
                {"matcher": "path", "argument": "JobRun.JobRunState", "expected": "SUCCEEDED", "state": "success"},
                {"matcher": "path", "argument": "JobRun.JobRunState", "expected": "FAILED", "state": "failure"},
            ],
        }
    },
}


def test_a_waiter_of_ones_own_waits() -> None:
    with stubbed("glue") as (credentials, stubber):
        for state in ("RUNNING", "SUCCEEDED"):
            stubber.add_response("get_job_run", {"JobRun": {"JobRunState": state}})

        @flow
        def work() -> None:
            client_waiter("glue", "JobRunDone", credentials, WAITER, JobName="j", RunId="r")

        work()
        stubber.assert_no_pending_responses()


def test_a_waiter_says_what_it_waited_for_in_vain() -> None:
    with stubbed("glue") as (credentials, stubber):
        stubber.add_response("get_job_run", {"JobRun": {"JobRunState": "FAILED"}})

        @flow
        async def work() -> None:
            await aclient_waiter("glue", "JobRunDone", credentials, WAITER, JobName="j", RunId="r")

        with pytest.raises(AwsError, match="Waiting for 'JobRunDone' of 'glue'"):
            asyncio.run(work())


def test_known_waiters_wait(credentials: AwsCredentials) -> None:
    client = credentials.get_s3_client()
    client.create_bucket(Bucket="awaited")

    @flow
    def work(bucket: str) -> None:
        client_waiter("s3", "bucket_exists", credentials, Bucket=bucket, WaiterConfig={"Delay": 1, "MaxAttempts": 2})

    work("awaited")
    with pytest.raises(AwsError, match="Waiting for 'bucket_exists' of 's3'"):
        work("never-made")


def test_an_unknown_waiter_names_those_there_are(credentials: AwsCredentials) -> None:
    @flow
    def work() -> None:
        client_waiter("s3", "bucket_is_full", credentials)

    with pytest.raises(ValueError, match="bucket_exists"):
        work()
