"""What every test stands on: a home of its own and an environment without settings."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from headrace.settings.in_force import process
from headrace.testing.services import (
    docker_engine,
    docker_registry,
    empty_postgres_url,
    postgres_admin,
    postgres_server,
    postgres_url,
    private_docker_registry,
    redis_server,
)

__all__ = [
    "docker_engine",
    "docker_registry",
    "empty_postgres_url",
    "postgres_admin",
    "postgres_server",
    "postgres_url",
    "private_docker_registry",
    "redis_server",
]

# How long an example takes says how busy the machine is, and nothing of the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test its own home directory and remove every setting that the machine may carry."""
    for name in list(os.environ):
        if name.startswith(("HEADRACE_", "PREFECT_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "headrace-home"
    monkeypatch.setenv("HEADRACE_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    process.context = process.chosen_profile = None  # settings are read once a process, and the test has its own
    return folder


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.quick), pytest.param("postgres", marks=pytest.mark.services)])
def database(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str, None, None]:
    """Run the test on each kind of database, a fresh one in force by the settings, and name the kind."""
    from headrace.client.connect import forget_client

    if request.param == "postgres":
        monkeypatch.setenv("HEADRACE_SERVER_DATABASE_CONNECTION_URL", request.getfixturevalue("postgres_url"))
    yield request.param
    forget_client()


NEEDS_SERVER = {"postgres_url", "empty_postgres_url", "postgres_server", "running_server", "server", "shared_server"}
"""Fixtures that take the extra `server`."""

OF_SERVER = re.compile(r"^\s*(?:from|import) (?:headrace\.server|headrace\.testing\.server|croniter|dateutil|psycopg|uvicorn)\b", re.MULTILINE)
"""Imports that take it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--minimal`, which leaves out what needs an extra: `nox -s minimal` has installed none."""
    parser.addoption("--minimal", action="store_true", help="leave out tests that need the extra `server`")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules that import what the extra `server` brings, if that was asked for."""
    if not config.getoption("--minimal"):
        return None
    if collection_path.is_dir():
        return True if collection_path.name == "server" else None
    return True if collection_path.suffix == ".py" and OF_SERVER.search(collection_path.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs the extra `server`, if that was asked for."""
    if not config.getoption("--minimal"):
        return
    left_out = [item for item in items if _needs_server(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _needs_server(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    values = map(str, item.callspec.params.values()) if hasattr(item, "callspec") else ()
    is_marked = item.get_closest_marker("needs_server") is not None
    return is_marked or not {"http", "postgres"}.isdisjoint(values) or not NEEDS_SERVER.isdisjoint(item.fixturenames)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that use the fixture `client` over both clients, those marked `embedded` over the one alone that has a database here."""
    if "client" in metafunc.fixturenames:
        is_embedded = metafunc.definition.get_closest_marker("embedded") is not None
        metafunc.parametrize("client", ["embedded"] if is_embedded else ["embedded", "http"], indirect=True)


@pytest.fixture
def client(
    request: pytest.FixtureRequest, home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Generator[str, None, None]:
    """Have the test's runs kept in the embedded database, and then by a server, and say which."""
    if request.param == "embedded":
        yield request.param
        return
    from headrace.client.connect import forget_client
    from headrace.client.spool import close_process_spool
    from headrace.store.database import Database
    from headrace.testing.server import running_server

    server = running_server(Database(f"sqlite:///{tmp_path_factory.mktemp('server') / 'headrace.db'}"))
    monkeypatch.setenv("HEADRACE_API_URL", server.__enter__())
    process.context = process.chosen_profile = None
    try:
        yield request.param
    finally:
        close_process_spool()
        forget_client()
        # It takes its time to stop, and the next test has a server of its own.
        threading.Thread(target=server.__exit__, args=(None, None, None)).start()
