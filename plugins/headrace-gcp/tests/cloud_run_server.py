"""Cloud Run for tests, by both of its APIs. A job's container ends when it is told to, or is a real one on a Docker engine."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from headrace.testing.containers import DockerEngine, PythonImage

from .google_apis import Asked, GoogleApi, Refused


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")


class Process(Protocol):
    """What runs in a job."""

    def exit_code(self) -> int | None: ...

    def stop(self) -> None: ...


@dataclass
class Told:
    """Ends when it is told to."""

    code: int | None = None

    def exit_code(self) -> int | None:
        return self.code

    def stop(self) -> None:
        self.code = 143 if self.code is None else self.code


@dataclass
class Container:
    """A container on the machine's network."""

    engine: DockerEngine
    id: str

    def exit_code(self) -> int | None:
        with self.engine.client() as client:
            state = client.get(f"/containers/{self.id}/json").json()["State"]
        return None if state["Running"] or state["Status"] == "created" else int(state["ExitCode"])

    def stop(self) -> None:
        with self.engine.client() as client:
            client.post(f"/containers/{self.id}/stop", params={"t": 10})


@dataclass
class Machines:
    """Runs containers: real ones with an engine, else such as wait to be told."""

    engine: DockerEngine | None = None
    image: PythonImage | None = None

    def start(self, container: dict[str, Any]) -> Process:
        if self.engine is None:
            return Told()
        body = {
            "Image": container["image"],
            "Entrypoint": container.get("command") or [],
            "Cmd": container.get("args") or [],
            "Env": [f"{one['name']}={one['value']}" for one in container.get("env", []) if "value" in one],
            "HostConfig": {"NetworkMode": "host", "Binds": list(self.image.volumes) if self.image else []},
        }
        with self.engine.client() as client:
            made = client.post("/containers/create", json=body)
            if made.is_error:
                raise Refused(400, "INVALID_ARGUMENT", f"Image '{container['image']}' not found.")
            id = made.json()["Id"]
            client.post(f"/containers/{id}/start").raise_for_status()
        return Container(self.engine, id)


@dataclass
class FakeExecution:
    name: str
    process: Process
    began: str = field(default_factory=now)
    ended: str | None = None
    is_cancelled: bool = False

    def code(self) -> int | None:
        code = self.process.exit_code()
        if code is not None and self.ended is None:
            self.ended = now()
        return code

    def message(self) -> str:
        code = self.code()
        if code is None:
            return "Waiting for execution to complete."
        if self.is_cancelled:
            return "Execution was cancelled."
        return "Execution completed successfully." if code == 0 else f"The container exited with an error (exit code {code})."


@dataclass
class FakeJob:
    name: str
    body: dict[str, Any]
    container: dict[str, Any]
    polls: int = 0
    executions: list[FakeExecution] = field(default_factory=list)

    def is_ready(self) -> bool:
        self.polls += 1
        return self.polls > 1 and "slow" not in self.container["image"]

    def run(self, machines: Machines) -> FakeExecution:
        if not self.polls > 1:
            raise Refused(400, "FAILED_PRECONDITION", "The job is not ready.")
        found = FakeExecution(f"{self.name}-{len(self.executions):05}", machines.start(self.container))
        self.executions.append(found)
        return found


@dataclass
class CloudRun(GoogleApi):
    """What both APIs share. An image with `missing` in its name can never be run, and one with `slow` is never ready."""

    machines: Machines = field(default_factory=Machines)
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    started: list[FakeJob] = field(default_factory=list)

    def make(self, name: str, body: dict[str, Any], container: dict[str, Any]) -> FakeJob:
        if name in self.jobs:
            raise Refused(409, "ALREADY_EXISTS", f"Resource '{name}' already exists.")
        assert len(name) <= 63
        self.jobs[name] = FakeJob(name, body, container)
        return self.jobs[name]

    def known(self, name: str) -> FakeJob:
        if name not in self.jobs:
            raise Refused(404, "NOT_FOUND", f"Resource '{name}' of kind 'JOB' does not exist.")
        return self.jobs[name]

    def page(self, after: str | None) -> tuple[list[str], str | None]:
        """Return the name of one job, and what to ask with for the next."""
        start, names = int(after or 0), sorted(self.jobs)
        return names[start : start + 1], str(start + 1) if start + 1 < len(names) else None

    def begin(self, name: str) -> FakeExecution:
        job = self.known(name)
        found = job.run(self.machines)
        self.started.append(job)
        return found

    def execution(self, name: str) -> FakeExecution:
        for job in self.jobs.values():
            for one in job.executions:
                if one.name == name:
                    return one
        raise Refused(404, "NOT_FOUND", f"Resource '{name}' of kind 'EXECUTION' does not exist.")

    def end(self, execution: FakeExecution) -> None:
        if execution.code() is not None:
            raise Refused(400, "FAILED_PRECONDITION", "The execution has ended.")
        execution.is_cancelled = True
        execution.process.stop()

    def remove(self, name: str) -> None:
        for execution in self.known(name).executions:
            execution.process.stop()
        del self.jobs[name]

    def stop_all(self) -> None:
        for name in list(self.jobs):
            self.remove(name)


@dataclass
class CloudRunV2(CloudRun):
    document: str = "run.v2"

    def projects_locations_jobs_create(self, asked: Asked) -> dict[str, Any]:
        task = asked.body["template"]["template"]
        assert task["timeout"].endswith("s")
        self.make(asked.query["jobId"], asked.body, task["containers"][0])
        return {"name": "projects/p/locations/r/operations/create", "done": False}

    def projects_locations_jobs_get(self, asked: Asked) -> dict[str, Any]:
        job, path = self.known(asked.names[2]), asked.path.removeprefix("/v2/")
        is_missing = "missing" in job.container["image"]
        state = "CONDITION_RECONCILING" if not job.is_ready() else "CONDITION_FAILED" if is_missing else "CONDITION_SUCCEEDED"
        condition = {"type": "Ready", "state": state, **({"message": f"Image '{job.container['image']}' not found."} if is_missing else {})}
        found = {**job.body, "name": path, "uid": "u", "generation": "1", "createTime": now(), "terminalCondition": condition}
        if job.executions:
            last = job.executions[-1]  # by its short name, although executions are asked for by the whole one
            found |= {"executionCount": len(job.executions), "latestCreatedExecution": {"name": last.name, "createTime": last.began}}
        return found

    def projects_locations_jobs_list(self, asked: Asked) -> dict[str, Any]:
        page, more = self.page(asked.query.get("pageToken"))
        return {"jobs": [{"name": f"{asked.path.removeprefix('/v2/')}/{name}"} for name in page], **({"nextPageToken": more} if more else {})}

    def projects_locations_jobs_run(self, asked: Asked) -> dict[str, Any]:
        self.begin(asked.names[2])
        return {"name": "projects/p/locations/r/operations/run", "done": False}

    def projects_locations_jobs_delete(self, asked: Asked) -> dict[str, Any]:
        self.remove(asked.names[2])
        return {"name": "projects/p/locations/r/operations/delete", "done": False}

    def projects_locations_jobs_executions_get(self, asked: Asked) -> dict[str, Any]:
        one = self.execution(asked.names[3])
        code = one.code()
        state = "CONDITION_RECONCILING" if code is None else "CONDITION_SUCCEEDED" if code == 0 else "CONDITION_FAILED"
        found = {"name": asked.path.removeprefix("/v2/"), "uid": "e", "createTime": one.began, "startTime": one.began, "taskCount": 1}
        found |= {"job": asked.names[2], "logUri": f"https://console.example/logs/{one.name}", "labels": {}}
        found["conditions"] = [{"type": "Completed", "state": state, "message": one.message()}]
        return found | ({"runningCount": 1} if code is None else {"completionTime": one.ended})

    def projects_locations_jobs_executions_cancel(self, asked: Asked) -> dict[str, Any]:
        self.end(self.execution(asked.names[3]))
        return {"name": "projects/p/locations/r/operations/cancel", "done": False}

    def projects_locations_jobs_executions_tasks_list(self, asked: Asked) -> dict[str, Any]:
        one = self.execution(asked.names[3])
        return {"tasks": [{"name": f"{asked.path.removeprefix('/v2/')}/t", "lastAttemptResult": {"exitCode": one.code() or 0}}]}


@dataclass
class CloudRunV1(CloudRun):
    document: str = "run.v1"

    def namespaces_jobs_create(self, asked: Asked) -> dict[str, Any]:
        body = asked.body
        assert (body["apiVersion"], body["kind"]) == ("run.googleapis.com/v1", "Job")
        self.make(body["metadata"]["name"], body, body["spec"]["template"]["spec"]["template"]["spec"]["containers"][0])
        return {**body, "status": {}}

    def namespaces_jobs_get(self, asked: Asked) -> dict[str, Any]:
        job = self.known(asked.names[1])
        is_missing = "missing" in job.container["image"]
        status = "Unknown" if not job.is_ready() else "False" if is_missing else "True"
        condition = {"type": "Ready", "status": status, **({"message": f"Image '{job.container['image']}' not found."} if is_missing else {})}
        found: dict[str, Any] = {"conditions": [condition]}
        if job.executions:
            last = job.executions[-1]
            found |= {"executionCount": len(job.executions), "latestCreatedExecution": {"name": last.name, "creationTimestamp": last.began}}
        return {**job.body, "status": found}

    def namespaces_jobs_list(self, asked: Asked) -> dict[str, Any]:
        page, more = self.page(asked.query.get("continue"))
        return {"items": [{"metadata": {"name": name}} for name in page], "metadata": {"continue": more} if more else {}}

    def namespaces_jobs_run(self, asked: Asked) -> dict[str, Any]:
        return self._told(self.begin(asked.names[1]), asked.names[0])

    def namespaces_jobs_delete(self, asked: Asked) -> dict[str, Any]:
        self.remove(asked.names[1])
        return {"status": "Success"}

    def namespaces_executions_get(self, asked: Asked) -> dict[str, Any]:
        return self._told(self.execution(asked.names[1]), asked.names[0])

    def namespaces_executions_cancel(self, asked: Asked) -> dict[str, Any]:
        one = self.execution(asked.names[1])
        self.end(one)
        return self._told(one, asked.names[0])

    def namespaces_tasks_list(self, asked: Asked) -> dict[str, Any]:
        name = asked.query["labelSelector"].removeprefix("run.googleapis.com/execution=")
        one = self.execution(name)
        return {"items": [{"metadata": {"name": f"{name}-t"}, "status": {"lastAttemptResult": {"exitCode": one.code() or 0}}}]}

    @staticmethod
    def _told(one: FakeExecution, namespace: str) -> dict[str, Any]:
        code = one.code()
        outcome = "Unknown" if code is None else "True" if code == 0 else "False"
        status: dict[str, Any] = {"conditions": [{"type": "Completed", "status": outcome, "message": one.message()}]}
        status |= {"startTime": one.began, "logUri": f"https://console.example/logs/{one.name}"}
        status |= {"runningCount": 1} if code is None else {"completionTime": one.ended}
        return {"metadata": {"name": one.name, "namespace": namespace}, "spec": {"taskCount": 1}, "status": status}


@dataclass
class Logging(GoogleApi):
    """Cloud Logging: pages of lines, whatever the filter says."""

    document: str = "logging.v2"
    pages: list[list[str]] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)

    def entries_list(self, asked: Asked) -> dict[str, Any]:
        self.filters.append(asked.body["filter"])
        page = int(asked.body.get("pageToken", "0"))
        found = {"entries": [{"logName": "projects/p/logs/l", "textPayload": line} for line in self.pages[page]]}
        return found | ({"nextPageToken": str(page + 1)} if page + 1 < len(self.pages) else {})


def wait_until(what: Any, seconds: float = 30) -> Any:
    """Wait for something that other threads bring about."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found
