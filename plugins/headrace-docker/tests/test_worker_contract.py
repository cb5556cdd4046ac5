"""The Docker worker keeps the contract of workers for remote jobs, with real containers."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from typing import Any

import pytest
import requests
from docker.errors import NotFound

from headrace.testing import RemoteJobContract
from headrace.testing.containers import DockerEngine
from headrace.testing.remote_job_contract import RemoteService
from headrace.testing.worker_contract import StartedJob
from headrace_docker import DockerWorker
from headrace_docker.engine import Engine, identifier_of

SCRIPT = "trap 'exit 143' TERM; while [ ! -e /tmp/end ]; do sleep 0.05; done; exit $(cat /tmp/end)"


class Containers(RemoteService):
    """Containers on the engine whose command waits until it is told how to end."""

    def __init__(self, engine: Engine, label: str) -> None:
        self._engine = engine
        self._client = engine.client
        self._label = label
        self._told: set[str] = set()

    def _ids(self) -> set[str]:
        return {container.id or "" for container in self._client.containers.list(all=True, sparse=True, filters={"label": self._label})}

    async def started(self) -> StartedJob:
        while (container := self._new()) is None or container.status == "created":
            await asyncio.sleep(0.02)
        self._told.add(container.id)
        config = container.attrs["Config"]
        env = dict(item.split("=", 1) for item in config["Env"])
        return StartedJob(identifier_of(self._engine.address, container.id), env, json.dumps(config["Cmd"]))

    def _new(self) -> Any:
        """Return a container that was not told of yet, if there is one. The engine lists containers a moment before it knows them."""
        for key in self._ids() - self._told:
            with suppress(NotFound):
                return self._client.containers.get(key)
        return None

    def end(self, identifier: str, status: int) -> None:
        container = self._client.containers.get(identifier.rpartition(":")[2])
        container.exec_run(["sh", "-c", f"echo {status} > /tmp/new; mv /tmp/new /tmp/end"])

    def is_running(self, identifier: str) -> bool:
        return self._client.containers.get(identifier.rpartition(":")[2]).status == "running"

    def count(self) -> int:
        return len(self._ids())


class TestDockerWorker(RemoteJobContract):
    @pytest.fixture(autouse=True)
    def api(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the worker believe in a server; runs are kept here, and the containers of these tests report to nobody."""
        monkeypatch.setattr(DockerWorker, "needs_api_url", False)

    @pytest.fixture
    def worker_class(self) -> Any:
        return DockerWorker

    @pytest.fixture
    def label(self) -> str:
        """A label that the containers of this test have and no others."""
        return f"contract={secrets.token_hex(8)}"

    @pytest.fixture
    def service(self, engine: DockerEngine, label: str) -> Any:
        connected = Engine()
        yield Containers(connected, label)
        connected.close()

    @pytest.fixture
    def job_variables(self, busybox: str, label: str) -> dict[str, Any]:
        return {
            "labels": dict([label.split("=")]),
            "image": busybox,
            "image_pull_policy": "Never",
            "network_mode": "none",
            "command": f'sh -c "{SCRIPT}"',
        }

    @pytest.fixture
    def broken_job_variables(self) -> dict[str, Any]:
        return {"image": "nowhere/at-all:1", "image_pull_policy": "Never", "network_mode": "none"}

    @pytest.fixture
    def lost_answer(self) -> Exception:
        return requests.ConnectionError("('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))")
