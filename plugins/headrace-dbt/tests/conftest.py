"""Each test has a home and a working directory of its own; projects are copies of one that was parsed once."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.client.orchestration import get_client
from headrace.testing.fixtures import headrace_caplog
from headrace.testing.services import empty_postgres_url, postgres_admin, postgres_server
from headrace.testing.utilities import headrace_test_harness

__all__ = ["empty_postgres_url", "headrace_caplog", "postgres_admin", "postgres_server"]

SHOP = {
    "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\nmodel-paths: [models]\nseed-paths: [seeds]\nsnapshot-paths: [snapshots]\n",
    "profiles.yml": "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: dev.duckdb, threads: 2}\n",
    "seeds/raw_orders.csv": "id,amount\n1,10\n2,20\n",
    "models/orders.sql": "select id, amount from {{ ref('raw_orders') }}",
    "models/large_orders.sql": "{{ config(materialized='ephemeral') }} select * from {{ ref('orders') }} where amount > 5",
    "models/totals.sql": "{{ config(materialized='table') }} select sum(amount) as total from {{ ref('large_orders') }}",
    "models/schema.yml": (
        "models:\n  - name: orders\n    description: All orders\n    config: {meta: {owner: kevin-g}}\n"
        "    columns:\n      - {name: id, data_tests: [unique, not_null]}\n"
    ),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))  # dbt keeps things there
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    for name in ("DBT_PROFILES_DIR", "DBT_PROJECT_DIR", "DBT_TARGET_PATH", "DBT_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    with headrace_test_harness():
        yield


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files, by their paths below a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def parsed_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that dbt has parsed: copies of it are read in a moment."""
    from headrace_dbt.core.invocation import invoke

    folder = write(tmp_path_factory.mktemp("parsed") / "shop", SHOP)
    result = invoke(["--log-level", "none", "--no-send-anonymous-usage-stats", "parse", "--project-dir", str(folder), "--profiles-dir", str(folder)])
    assert result.success, result.exception
    return folder


@pytest.fixture
def shop(parsed_shop: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make a project in the working directory, with more files or other ones, as in `shop({"models/x.sql": "select 1"})`."""

    def make(more: dict[str, str] | None = None) -> Path:
        shutil.copytree(parsed_shop, ".", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.duckdb", "logs"))
        return write(Path.cwd(), more or {})

    return make


class Seen:
    """What headrace has recorded."""

    def all_task_runs(self) -> list[Any]:
        """Return all task runs, the last ones first."""
        with get_client(sync_client=True) as client:
            return sorted(client.read_task_runs(), key=lambda run: run.start_time, reverse=True)

    def task_runs(self) -> dict[str, Any]:
        return {run.name: run for run in reversed(self.all_task_runs())}

    def states(self) -> dict[str, str]:
        return {name: run.state_type.value for name, run in self.task_runs().items()}

    def logs(self) -> list[Any]:
        with get_client(sync_client=True) as client:
            return client.read_logs(limit=200)

    def events(self, name: str) -> list[Any]:
        with get_client(sync_client=True) as client:
            return [event for event in client.read_events(limit=50).events if event.event.startswith(name)]

    def in_time(self, is_so: Callable[[], bool]) -> bool:
        """Ask until it is so, since what belongs to no flow run is stored in the background; for ten seconds at most."""
        return any(is_so() or threading.Event().wait(0.02) for _ in range(500))

    def artifacts(self) -> list[Any]:
        with get_client(sync_client=True) as client:
            return client.read_artifacts()


@pytest.fixture
def seen() -> Seen:
    """What headrace has recorded, to be asked for."""
    return Seen()
