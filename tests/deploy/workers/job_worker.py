"""A worker for the service of `job_service`, as a plugin would have it."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from pydantic import Field

from headrace.exceptions import InfrastructureNotAvailable, InfrastructureNotFound
from headrace.workers.base import BaseWorkerResult
from headrace.workers.remote import Failure, JobLogs, JobStatus, RemoteJobConfiguration, RemoteJobVariables, RemoteJobWorker


class HutVariables(RemoteJobVariables):
    service: str = Field(default="", description="The address of the service.")
    image: str = Field(default="plain", description="What the job runs in.")
    stream_output: bool = Field(default=False, description="Whether the job's output is shown.")
    start_timeout: float | None = Field(default=None, description="How long a job may take to begin, in seconds.")
    run_timeout: float | None = Field(default=None, description="How long a job may take, in seconds.")
    is_watched: bool = Field(default=True, description="Whether the worker waits for the job's end.")


class HutConfiguration(RemoteJobConfiguration):
    service: str = Field(default="", description="The address of the service.")
    image: str = Field(default="plain", description="What the job runs in.")
    stream_output: bool = Field(default=False, description="Whether the job's output is shown.")
    start_timeout: float | None = Field(default=None, description="How long a job may take to begin, in seconds.")
    run_timeout: float | None = Field(default=None, description="How long a job may take, in seconds.")
    is_watched: bool = Field(default=True, description="Whether the worker waits for the job's end.")


class HutResult(BaseWorkerResult):
    """What became of a job in a hut."""


class HutWorker(RemoteJobWorker[HutConfiguration, HutVariables, HutResult]):
    """Runs flows as jobs of a service. Identifiers are `address::id`."""

    type = "hut"
    job_configuration = HutConfiguration
    job_configuration_variables = HutVariables
    result_class = HutResult
    retry_seconds = 0.02
    _description = "Runs flows as jobs in huts."

    def submit_job(self, job: HutConfiguration, token: str) -> str:
        environment = job.environment
        asked = {
            "token": token,
            "env": {**environment.plain, **environment.secure},
            "references": environment.references,
            "command": job.command,
            "labels": job.labels,
            "image": job.image,
        }
        return f"{job.service}::{self._ask('POST', f'{job.service}/jobs', asked)['id']}"

    def find_job(self, job: HutConfiguration, token: str) -> str | None:
        found = self._ask("GET", f"{job.service}/jobs?token={quote(token)}")
        return f"{job.service}::{found[0]}" if found else None

    def poll_job(self, identifier: str, job: HutConfiguration) -> JobStatus:
        told = self._ask("GET", self._address(identifier))
        if told["exit_code"] is not None:
            return JobStatus.ended(told["exit_code"])
        return JobStatus.pending(told["waits_for"]) if told["waits_for"] else JobStatus.running()

    def stop_job(self, identifier: str, job: HutConfiguration, grace_seconds: int) -> None:
        self._ask("POST", f"{self._address(identifier)}/stop", {})

    def read_logs(self, identifier: str, job: HutConfiguration, after: str | None) -> JobLogs:
        found = self._ask("GET", f"{self._address(identifier)}/logs?after={after or 0}")
        return JobLogs(found["lines"], found["after"])

    def clean_up(self, identifier: str, job: HutConfiguration) -> None:
        self._ask("DELETE", self._address(identifier))

    def failure_of(self, error: Exception) -> Failure:
        if isinstance(error, HTTPError):
            return Failure.BUSY if error.code in (429, 503) else Failure.FINAL
        return Failure.UNKNOWN if isinstance(error, URLError) else super().failure_of(error)

    def poll_seconds(self, job: HutConfiguration) -> float:
        return 0.02

    def start_timeout_seconds(self, job: HutConfiguration) -> float | None:
        return job.start_timeout

    def run_timeout_seconds(self, job: HutConfiguration) -> float | None:
        return job.run_timeout

    def streams_output(self, job: HutConfiguration) -> bool:
        return job.stream_output

    def is_watched(self, job: HutConfiguration) -> bool:
        return job.is_watched

    @staticmethod
    def _address(identifier: str) -> str:
        service, separator, id = identifier.partition("::")
        if not separator:
            raise ValueError(f"{identifier!r} is no identifier of a job in a hut, which is like http://host::job.")
        return f"{service}/jobs/{id}"

    @staticmethod
    def _ask(method: str, url: str, body: Any = None) -> Any:
        request = Request(url, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            if error.code in (404, 409):
                raise InfrastructureNotFound(f"There is no such job at {url}, or it has ended.") from error
            raise
        except URLError as error:
            if isinstance(error.reason, ConnectionRefusedError):
                raise InfrastructureNotAvailable(f"Nothing answers at {url}.") from error
            raise
