"""Files that travel with a flow: which they are, and that its runs find them."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace._experimental.bundles import collect_files, create_bundle_for_flow_run
from headrace.cli.main import main
from headrace.client.orchestration import get_client
from headrace.exceptions import PathValidationError
from headrace.flows import bind_flow_to_infrastructure
from headrace.settings import temporary_settings
from headrace.states import Pending
from headrace.testing.server import running_server
from headrace.workers import ProcessWorker

FLOW = """\
from pathlib import Path

from headrace import flow


@flow
def reads(name: str) -> str:
    return Path(name).read_text()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A flow's folder with files of all kinds."""
    folder = tmp_path / "project" / "flows"
    names = ["config.yaml", "a.json", "b.json", "deep/c.json", "fixtures/d.json", "data/x.csv", "data/sub/y.csv", "data/x.test.py", "data/.hidden"]
    names += ["data/__pycache__/m.pyc", ".venv/lib.csv", "node_modules/n.json", ".env", "data/[1].csv"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def reads(folder: Path) -> Iterator[Any]:
    """A flow of a file of that folder."""
    (folder / "reading.py").write_text(FLOW)
    spec = importlib.util.spec_from_file_location("reading", folder / "reading.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reading"] = module
    spec.loader.exec_module(module)
    yield module.reads
    del sys.modules["reading"]


def collected(folder: Path, *patterns: str) -> list[str]:
    return [file.as_posix() for file in collect_files(folder, patterns)]


@pytest.mark.parametrize(
    ("patterns", "files"),
    [
        (["config.yaml"], ["config.yaml"]),
        (["data/"], ["data/[1].csv", "data/sub/y.csv", "data/x.csv", "data/x.test.py"]),
        (["data"], ["data/[1].csv", "data/sub/y.csv", "data/x.csv", "data/x.test.py"]),
        (["*.json"], ["a.json", "b.json"]),
        (["./*.json"], ["a.json", "b.json"]),
        (["**/*.json"], ["a.json", "b.json", "deep/c.json", "fixtures/d.json"]),
        (["data/**/*.csv"], ["data/[1].csv", "data/sub/y.csv", "data/x.csv"]),
        (["data/[1].csv"], ["data/[1].csv"]),
        (["*.json", "!a.json"], ["b.json"]),
        (["**/*.json", "!fixtures/*.json"], ["a.json", "b.json", "deep/c.json"]),
        (["data/", "!*.test.py", "!sub/"], ["data/[1].csv", "data/x.csv"]),
        (["!a.json", "a.json"], ["a.json"]),
        ([".env", "data/.hidden"], [".env", "data/.hidden"]),
        ([".venv/", ".*"], [".venv/lib.csv"]),
        (["none*"], []),
    ],
)
def test_patterns_name_files_in_order(folder: Path, patterns: list[str], files: list[str]) -> None:
    assert collected(folder, *patterns) == files


@pytest.mark.parametrize("name", [".headraceignore", ".prefectignore"])
def test_what_ignore_files_match_is_left_out_however_it_was_named(folder: Path, name: str) -> None:
    (folder / name).write_text("*.csv\n!x.csv\n")
    assert collected(folder, "data/", "data/sub/y.csv") == ["data/x.csv", "data/x.test.py"]
    (folder.parent / "pyproject.toml").touch()
    (folder.parent / name).write_text("flows/data/*.py\n")
    assert collected(folder, "data/") == ["data/x.csv"]


@pytest.mark.parametrize("pattern", ["../x", "data/../../x", "/etc/passwd", "missing.yaml", "link", "linked/", "loop", "**/out.txt"])
def test_what_is_not_there_or_elsewhere_is_refused(folder: Path, pattern: str) -> None:
    (folder.parent / "out.txt").touch()
    (folder / "link").symlink_to(folder.parent / "out.txt")
    (folder / "deep" / "out.txt").symlink_to(folder.parent / "out.txt")
    (folder / "linked").symlink_to(folder.parent)
    (folder / "loop").symlink_to("loop")
    with pytest.raises(PathValidationError, match="include_files"):
        collect_files(folder, [pattern])


@pytest.mark.parametrize("wrong", ["data/", ["a", " "], ["!"], [3]])
def test_what_is_no_list_of_patterns_is_refused_when_the_flow_is_bound(reads: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match="is a list of paths and patterns"):
        bind_flow_to_infrastructure(reads, "pool", ProcessWorker, include_files=wrong)


def test_files_that_look_like_secrets_are_told_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert collected(folder, ".env") == [".env"]
    assert "look like secrets travel with the bundle: .env" in caplog.text


def test_the_same_files_have_the_same_key_and_none_have_none(reads: Any, folder: Path) -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(reads, parameters={"name": "a.json"}, state=Pending())
    keys = [create_bundle_for_flow_run(reads, run, include_files=["*.json"])["bundle"]["files_key"] for _ in range(2)]
    assert keys[0] == keys[1]
    assert str(keys[0]).startswith("files/") and str(keys[0]).endswith(".zip")
    assert create_bundle_for_flow_run(reads, run, include_files=["none*"])["zip_path"] is None


def test_runs_of_a_bound_flow_find_its_files(reads: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "config.yaml").chmod(0o755)
    with running_server() as url, temporary_settings({"HEADRACE_API_URL": url}):
        bound = bind_flow_to_infrastructure(reads, "pool", ProcessWorker, include_files=["config.yaml", "data/"])
        assert bound("data/sub/y.csv") == "data/sub/y.csv"
        assert bound.with_options(include_files=["a.json"])("a.json") == "a.json"
        with pytest.raises(PathValidationError, match="missing"):
            bound.with_options(include_files=["missing"])("a.json")
        store = tmp_path / "bundles"
        assert main(["work-pool", "storage", "configure", "local", "pool", "--folder", str(store)]) == 0
        future = bound.submit_to_work_pool("config.yaml")
        asyncio.run(ProcessWorker("pool").start(run_once=True))
        assert future.result(timeout=10) == "config.yaml"
        kept = json.loads((store / next(one.name for one in store.iterdir() if one.is_file())).read_text())
        assert (store / kept["files_key"]).is_file()
        with get_client(sync_client=True) as client:
            names = sorted(str(run.state_name) for run in client.read_flow_runs())
        assert names == ["Completed", "Completed", "Completed", "Crashed"]
