"""The Vertex AI worker, held to what every worker for remote jobs owes, on a fake that is held to Google's discovery document."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from headrace.testing.remote_job_contract import RemoteService
from headrace.testing.worker_contract import StartedJob
from headrace_gcp.workers.vertex import VertexAIWorker, VertexAIWorkerJobConfiguration

from .cloud_run_server import Told
from .google_apis import serving
from .test_cloud_run_contract import CloudRunContract
from .vertex_server import FakeCustomJob, VertexAI


class Jobs(RemoteService):
    """Vertex AI as the contract sees it."""

    def __init__(self, api: VertexAI) -> None:
        self.api = api
        self._told = 0

    async def started(self) -> StartedJob:
        while len(self.api.jobs) <= self._told:
            await asyncio.sleep(0.01)
        job = self.api.jobs[self._told]
        self._told += 1
        return StartedJob(job.name, {one["name"]: one["value"] for one in job.container["env"]}, shlex.join(job.container["command"]))

    def end(self, identifier: str, status: int) -> None:
        process = self._job(identifier).process
        assert isinstance(process, Told)
        process.code = status

    def is_running(self, identifier: str) -> bool:
        return self._job(identifier).process.exit_code() is None

    def count(self) -> int:
        return len(self.api.jobs)

    def _job(self, identifier: str) -> FakeCustomJob:
        return next(job for job in self.api.jobs if job.name == identifier)


class HastyConfiguration(VertexAIWorkerJobConfiguration):
    """A configuration that can be made from nothing."""

    region: str = "europe-west1"
    job_watch_poll_interval: float = 0.02


class TestVertex(CloudRunContract):
    @pytest.fixture
    def api(self, gcp: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexAI]:
        with serving(VertexAI()) as found:
            monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({"aiplatform": found.url}))
            yield found

    @pytest.fixture
    def service(self, api: VertexAI) -> RemoteService:
        return Jobs(api)

    @pytest.fixture
    def job_variables(self) -> dict[str, Any]:
        return {"image": "an/image:1", "region": "europe-west1", "job_watch_poll_interval": 0.02}

    @pytest.fixture
    def broken_job_variables(self) -> dict[str, Any]:
        return {"image": "missing:1", "region": "europe-west1"}

    @pytest.fixture
    def worker_class(self) -> Any:
        return type("VertexAIWorker", (VertexAIWorker,), {"job_configuration": HastyConfiguration, "__module__": __name__, "__doc__": "Hasty."})
