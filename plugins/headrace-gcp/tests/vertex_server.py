"""Vertex AI's custom jobs for tests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .cloud_run_server import Machines, Process, now
from .google_apis import Asked, GoogleApi, Refused


@dataclass
class FakeCustomJob:
    name: str
    body: dict[str, Any]
    container: dict[str, Any]
    process: Process
    polls: int = 0
    is_cancelled: bool = False

    def told(self) -> dict[str, Any]:
        self.polls += 1
        code, found = self.process.exit_code(), {**self.body, "name": self.name, "createTime": now()}
        if self.is_cancelled and code is not None:
            return found | {"state": "JOB_STATE_CANCELLED"}
        if code is None:
            return found | {"state": "JOB_STATE_PENDING" if self.polls == 1 else "JOB_STATE_RUNNING"}
        if code == 0:
            return found | {"state": "JOB_STATE_SUCCEEDED"}
        message = f"The replica workerpool0-0 exited with a non-zero status of {code}."
        return found | {"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": message}}


@dataclass
class VertexAI(GoogleApi):
    """An image with `missing` in its name is refused."""

    document: str = "aiplatform.v1"
    machines: Machines = field(default_factory=Machines)
    jobs: list[FakeCustomJob] = field(default_factory=list)

    def projects_locations_customJobs_create(self, asked: Asked) -> dict[str, Any]:
        container = asked.body["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
        if "missing" in container["imageUri"]:
            raise Refused(400, "INVALID_ARGUMENT", f"Image {container['imageUri']} does not exist.")
        name = f"projects/42/locations/{asked.names[1]}/customJobs/{1000 + len(self.jobs)}"
        process = self.machines.start({**container, "image": container["imageUri"]})
        self.jobs.append(FakeCustomJob(name, asked.body, container, process))
        return {"name": name, "displayName": asked.body["displayName"], "state": "JOB_STATE_PENDING"}

    def projects_locations_customJobs_list(self, asked: Asked) -> dict[str, Any]:
        wanted = re.fullmatch(r'labels\.([a-z0-9_-]+)="([^"]+)"', asked.query["filter"])
        assert wanted is not None
        return {"customJobs": [job.told() for job in self.jobs if job.body["labels"].get(wanted[1]) == wanted[2]]}

    def projects_locations_customJobs_get(self, asked: Asked) -> dict[str, Any]:
        return self._known(asked).told()

    def projects_locations_customJobs_cancel(self, asked: Asked) -> dict[str, Any]:
        job = self._known(asked)
        job.is_cancelled = True
        job.process.stop()
        return {}

    def stop_all(self) -> None:
        for job in self.jobs:
            job.process.stop()

    def _known(self, asked: Asked) -> FakeCustomJob:
        for job in self.jobs:
            if job.name.endswith(f"/{asked.names[2]}"):
                return job
        raise Refused(404, "NOT_FOUND", f"The CustomJob {asked.names[2]} does not exist.")
