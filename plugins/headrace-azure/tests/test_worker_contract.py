"""The worker for container instances keeps the contract of workers for remote jobs, with containers that are real."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from docker import DockerClient

from headrace.testing import RemoteJobContract
from headrace.testing.containers import DockerEngine
from headrace.testing.remote_job_contract import RemoteService
from headrace.testing.worker_contract import StartedJob
from headrace_azure import AzureContainerWorker
from headrace_azure.workers.container_instance import parsed_identifier

from .resource_manager import LABEL, ResourceManager

SCRIPT = "trap 'exit 143' TERM; while [ ! -e /tmp/end ]; do sleep 0.05; done; exit $(cat /tmp/end)"


class ContainerGroups(RemoteService):
    """Container groups whose command waits until it is told how to end."""

    def __init__(self, arm: ResourceManager, docker: DockerClient) -> None:
        self._arm = arm
        self._docker = docker
        self._told: set[str] = set()

    async def started(self) -> StartedJob:
        while not (found := {name for name in self._arm.groups if self._docker.containers.get(name).status != "created"} - self._told):
            await asyncio.sleep(0.02)
        name = found.pop()
        self._told.add(name)
        config = self._docker.containers.get(name).attrs["Config"]
        env = dict(item.split("=", 1) for item in config["Env"])
        run = name[-36:]
        return StartedJob(f"{run}:{name}", env, json.dumps(config["Entrypoint"]))

    def end(self, identifier: str, status: int) -> None:
        self._docker.containers.get(parsed_identifier(identifier)).exec_run(["sh", "-c", f"echo {status} > /tmp/new; mv /tmp/new /tmp/end"])

    def is_running(self, identifier: str) -> bool:
        found = self._docker.containers.list(filters={"label": f"{LABEL}={parsed_identifier(identifier)}"})
        return bool(found)

    def count(self) -> int:
        return self._arm.started


class TestAzureContainerWorker(RemoteJobContract):
    @pytest.fixture(autouse=True)
    def api(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Runs are kept here, and the containers report to nobody."""
        monkeypatch.setattr(AzureContainerWorker, "needs_api_url", False)

    @pytest.fixture
    def worker_class(self) -> Any:
        return AzureContainerWorker

    @pytest.fixture
    def service(self, arm: ResourceManager) -> Any:
        return ContainerGroups(arm, arm.docker)

    @pytest.fixture
    def job_variables(self, aci_variables: dict[str, Any], docker_engine: DockerEngine) -> dict[str, Any]:
        return {**aci_variables, "image": docker_engine.busybox_image(), "command": f'sh -c "{SCRIPT}"'}

    @pytest.fixture
    def broken_job_variables(self, aci_variables: dict[str, Any]) -> dict[str, Any]:
        return {**aci_variables, "resource_group_name": "no-such-group"}

    @pytest.fixture
    def lost_answer(self) -> Exception:
        return ServiceResponseError("('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))")

    @pytest.fixture
    def busy_answer(self) -> Exception:
        error = HttpResponseError("Too many requests. Try again later.")
        error.status_code = 429
        return error
