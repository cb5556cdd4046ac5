"""The Cloud Run workers, held to what every worker for remote jobs owes, on fakes of both APIs that are held to Google's discovery documents."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator
from typing import Any

import httplib2
import pytest
from googleapiclient.errors import HttpError

from headrace.testing import RemoteJobContract
from headrace.testing.remote_job_contract import RemoteService
from headrace.testing.worker_contract import StartedJob
from headrace_gcp.workers.cloud_run import CloudRunWorker
from headrace_gcp.workers.cloud_run_v2 import CloudRunWorkerV2

from .cloud_run_server import CloudRun, CloudRunV1, CloudRunV2, FakeExecution, Told
from .google_apis import serving


class Jobs(RemoteService):
    """Cloud Run as the contract sees it."""

    def __init__(self, api: CloudRun) -> None:
        self.api = api
        self._told = 0

    async def started(self) -> StartedJob:
        while len(self.api.started) <= self._told:
            await asyncio.sleep(0.01)
        job = self.api.started[self._told]
        self._told += 1
        env = {one["name"]: one.get("value", "") for one in job.container["env"]}
        return StartedJob(job.name, env, shlex.join(job.container["command"]))

    def end(self, identifier: str, status: int) -> None:
        process = self._execution(identifier).process
        assert isinstance(process, Told)
        process.code = status

    def is_running(self, identifier: str) -> bool:
        return self._execution(identifier).process.exit_code() is None

    def count(self) -> int:
        return len(self.api.started)

    def _execution(self, identifier: str) -> FakeExecution:
        return next(job for job in self.api.started if job.name == identifier).executions[-1]


class CloudRunContract(RemoteJobContract):
    @pytest.fixture
    def service(self, api: CloudRun) -> RemoteService:
        return Jobs(api)

    @pytest.fixture
    def lost_answer(self) -> Exception:
        return HttpError(httplib2.Response({"status": 503}), b"")

    @pytest.fixture
    def busy_answer(self) -> Exception:
        return HttpError(httplib2.Response({"status": 429}), b"")

    @pytest.fixture
    def job_variables(self) -> dict[str, Any]:
        return {"image": "an/image:1"}

    @pytest.fixture
    def broken_job_variables(self) -> dict[str, Any]:
        return {"image": "missing:1"}


class TestV2(CloudRunContract):
    @pytest.fixture
    def api(self, gcp: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudRun]:
        with serving(CloudRunV2()) as found:
            monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"run": found.url}))
            yield found

    @pytest.fixture
    def worker_class(self) -> Any:
        return CloudRunWorkerV2


class TestV1(CloudRunContract):
    @pytest.fixture
    def api(self, gcp: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudRun]:
        with serving(CloudRunV1()) as found:
            monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"run": found.url}))
            yield found

    @pytest.fixture
    def worker_class(self) -> Any:
        return CloudRunWorker
