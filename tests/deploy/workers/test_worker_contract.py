"""The process worker, and a worker of a service that is not there, keep the contract of workers."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from headrace.exceptions import InfrastructureNotFound
from headrace.testing.worker_contract import FakeService, StartedJob, WorkerContract
from headrace.workers import ProcessWorker, Variables, Worker

SCRIPT = """
import json, os, sys, time
folder, me = sys.argv[1], str(os.getpid())
with open(f"{folder}/{me}.new", "w") as file:
    json.dump(dict(os.environ), file)
os.rename(f"{folder}/{me}.new", f"{folder}/{me}.started")
while not os.path.exists(f"{folder}/{me}.end"):
    time.sleep(0.01)
sys.exit(int(open(f"{folder}/{me}.end").read()))
"""


class Processes(FakeService):
    """Processes that wait until they are told how to end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: set[str] = set()

    async def started(self) -> StartedJob:
        while True:
            for path in self._folder.glob("*.started"):
                if path.stem not in self._told:
                    self._told.add(path.stem)
                    return StartedJob(f"{os.uname().nodename}:{path.stem}", json.loads(path.read_text()), "the script")
            await asyncio.sleep(0.01)

    def end(self, identifier: str, status: int) -> None:
        pid = identifier.rpartition(":")[2]
        (self._folder / f"{pid}.tmp").write_text(str(status))
        (self._folder / f"{pid}.tmp").rename(self._folder / f"{pid}.end")

    def is_running(self, identifier: str) -> bool:
        return Path(f"/proc/{identifier.rpartition(':')[2]}").exists()


class TestProcessWorker(WorkerContract):
    @pytest.fixture
    def worker_class(self) -> Any:
        return ProcessWorker

    @pytest.fixture
    def service(self, tmp_path: Path) -> FakeService:
        folder = tmp_path / "processes"
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)
        return Processes(folder)

    @pytest.fixture
    def job_variables(self, tmp_path: Path) -> dict[str, Any]:
        folder = tmp_path / "processes"
        return {"command": f"{sys.executable} {folder}/script.py {folder}"}

    @pytest.fixture
    def broken_job_variables(self) -> dict[str, Any]:
        return {"working_dir": "/nowhere/at/all"}


class Machines(FakeService):
    """A service in memory."""

    def __init__(self) -> None:
        self.ended: dict[str, threading.Event] = {}
        self._statuses: dict[str, int] = {}
        self._jobs: list[StartedJob] = []

    def create(self, job: Any) -> str:
        if job.size == "huge":
            raise RuntimeError("there are no huge machines")
        identifier = f"machine-{len(self.ended)}"
        self.ended[identifier] = threading.Event()
        self._jobs.append(StartedJob(identifier, dict(job.env), job.command))
        return identifier

    def wait(self, identifier: str) -> int:
        self.ended[identifier].wait(30)
        return self._statuses[identifier]

    async def started(self) -> StartedJob:
        while not self._jobs:
            await asyncio.sleep(0.01)
        return self._jobs.pop()

    def end(self, identifier: str, status: int) -> None:
        self._statuses[identifier] = status
        self.ended[identifier].set()

    def is_running(self, identifier: str) -> bool:
        return not self.ended[identifier].is_set()


machines: list[Machines] = []


class MachineVariables(Variables):
    size: str = Field(default="small", description="How large the machine is.")


class Machine(Worker):
    type = "machine"
    variables = MachineVariables
    description = "Runs flows on machines."

    def start(self, job: MachineVariables) -> str:
        return machines[-1].create(job)

    def watch(self, identifier: str, job: MachineVariables) -> int:
        return machines[-1].wait(identifier)

    async def stop(self, identifier: str, job: MachineVariables, grace_seconds: int) -> None:
        if not machines[-1].is_running(identifier):
            raise InfrastructureNotFound(identifier)
        machines[-1].end(identifier, 143)


class TestMachineWorker(WorkerContract):
    @pytest.fixture
    def worker_class(self) -> Any:
        return Machine

    @pytest.fixture
    def service(self) -> FakeService:
        machines.append(Machines())
        return machines[-1]

    @pytest.fixture
    def broken_job_variables(self) -> dict[str, Any]:
        return {"size": "huge"}
