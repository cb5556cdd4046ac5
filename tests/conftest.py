"""What every test stands on: a home of its own and an environment without settings."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from headrace.settings.in_force import process
from headrace.testing.services import empty_postgres_url, postgres_admin, postgres_server, postgres_url, redis_server

__all__ = ["empty_postgres_url", "postgres_admin", "postgres_server", "postgres_url", "redis_server"]


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
