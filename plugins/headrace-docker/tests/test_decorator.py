"""Flows that run in containers when they are called, without a deployment."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headrace.cli.main import main
from headrace.client.orchestration import get_client
from headrace.exceptions import PathValidationError
from headrace.settings import temporary_settings
from headrace.testing.containers import DockerEngine
from headrace.testing.server import server_process
from headrace_docker import DockerHost, DockerWorker
from headrace_docker.decorators import docker

SECONDS_MAX = 60.0
FLOWS = '''\
"""Flows in containers, and what they need beside them."""

import os
import socket
from pathlib import Path

from helping import doubled
from headrace import flow, get_run_logger
from headrace.filesystems import LocalFileSystem

SHARED = LocalFileSystem(basepath=os.environ["SHARED"])
SHARED.save("shared", overwrite=True)  # whoever reads a result finds its storage by this


@flow(result_storage=SHARED)
def reads(name: str, number: int = 1) -> tuple[str, int, int]:
    get_run_logger().info("reading %s", name)
    return Path(name).read_text(), doubled(number), os.getpid()


@flow(result_storage=SHARED)
def fails() -> None:
    raise ValueError("wrong on purpose")
'''


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that containers have under the same path."""
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


@pytest.fixture
def server(engine: DockerEngine, tmp_path: Path) -> Iterator[str]:
    with server_process(environment={"HEADRACE_HOME": str(tmp_path / "server")}) as found, temporary_settings({"HEADRACE_API_URL": found.url}):
        yield found.url
        for thread in threading.enumerate():  # the workers that see the runs through
            if thread.name.startswith("headrace-submit"):
                thread.join(SECONDS_MAX)


@pytest.fixture
def flows(server: str, tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of flows in a folder of its own, with a module and files beside it; containers do not see the folder."""
    folder = tmp_path / "flows"
    (folder / "data").mkdir(parents=True)
    (folder / "helping.py").write_text("def doubled(number):\n    return 2 * number\n")
    (folder / "config.yaml").write_text("words: 3\n")
    (folder / "data" / "word").write_text("travelled")
    (folder / "contained.py").write_text(FLOWS)
    monkeypatch.setenv("SHARED", str(shared))
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("contained", folder / "contained.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["contained"] = module
    spec.loader.exec_module(module)
    yield module
    for name in ("contained", "helping"):
        del sys.modules[name]


@pytest.fixture
def variables(engine: DockerEngine, shared: Path) -> dict[str, Any]:
    """What containers need here: this machine's interpreter, and the folder for results."""
    image = engine.python_image()
    return {"image": image.reference, "image_pull_policy": "Never", "volumes": [f"{shared}:{shared}", *image.volumes]}


def test_a_decorated_flow_runs_in_a_container_with_its_files_and_gives_its_value(flows: ModuleType, variables: dict[str, Any]) -> None:
    bound = docker("containers", include_files=["config.yaml", "data/"], **variables)(flows.reads)
    futures = [bound.submit(name, number=4) for name in ("config.yaml", "data/word")]
    # The process of a container is its first.
    assert [future.result(timeout=SECONDS_MAX) for future in futures] == [
        ("words: 3\n", 8, 1),
        ("travelled", 8, 1),
    ]
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(futures[0].flow_run_id)
        lines = [log.message for log in client.read_logs()]
    assert "reading data/word" in lines
    with DockerHost().get_client() as engine:
        container = engine.containers.get(str(run.infrastructure_pid).rpartition(":")[2])
        assert container.labels["prefect.io/flow-run-id"] == str(run.id)
        container.wait()
        assert not [line for line in container.diff() or () if "headrace-bundle" in line["Path"]]


def test_what_fails_in_the_container_fails_here(flows: ModuleType, variables: dict[str, Any]) -> None:
    bound = docker("containers", **variables)(flows.fails)
    with pytest.raises(ValueError, match="wrong on purpose"):
        bound()
    state = bound.with_options(job_variables={**variables, "image": "nowhere/at-all:1"})(return_state=True)
    assert state.is_crashed()
    assert "There is no image nowhere/at-all:1" in state.message


def test_bundles_travel_by_the_storage_that_the_pool_has(flows: ModuleType, variables: dict[str, Any], shared: Path) -> None:
    assert main(["work-pool", "create", "containers", "--type", "docker"]) == 0
    assert main(["work-pool", "storage", "configure", "local", "containers", "--folder", str(shared / "bundles")]) == 0
    bound = docker("containers", include_files=["data/"], **variables)(flows.reads)
    assert bound("data/word") == ("travelled", 2, 1)
    future = bound.submit_to_work_pool("data/word")
    asyncio.run(DockerWorker("containers").start(run_once=True))
    assert future.result(timeout=SECONDS_MAX) == ("travelled", 2, 1)
    assert list((shared / "bundles" / "files").glob("*.zip"))


def test_files_that_cannot_travel_are_refused_before_anything_is_started(flows: ModuleType, variables: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="list of paths and patterns"):
        docker("containers", include_files="data/", **variables)(flows.reads)
    bound = docker("containers", include_files=["../secret"], **variables)(flows.reads)
    with pytest.raises(PathValidationError, match="leads out of"):
        bound("data/word")
    with DockerHost().get_client() as engine:
        assert not engine.containers.list(all=True, filters={"label": "prefect.io/work-pool-name=containers", "name": "none"})
