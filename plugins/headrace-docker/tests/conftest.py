"""A Docker engine for all tests, in the environment as a user's would be; a home and a working directory for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.testing.containers import DockerEngine
from headrace.testing.services import docker_engine, docker_registry, private_docker_registry
from headrace.testing.utilities import headrace_test_harness

__all__ = ["docker_engine", "docker_registry", "private_docker_registry"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with headrace_test_harness():
        yield


@pytest.fixture
def engine(docker_engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerEngine:
    """The engine, as DOCKER_HOST names it; nobody is logged in to any registry."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.address)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker-config"))
    return docker_engine


@pytest.fixture
def busybox(engine: DockerEngine) -> str:
    """An image with a shell."""
    return engine.busybox_image()
