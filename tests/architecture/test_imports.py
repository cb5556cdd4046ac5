"""What importing costs, counted in modules: counts are the same on every machine, seconds are not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"sqlalchemy", "fastapi", "httpx", "rich", "yaml", "pydantic", "asyncio", "alembic", "jinja2", "cryptography", "pluggy"}

PROBE = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def new_modules(statement: str, folder: Path) -> list[str]:
    """Return the modules that a statement brings into a fresh interpreter. What the interpreter's own start brings is not counted."""
    words = [sys.executable, "-c", PROBE.format(statement=statement)]
    done = subprocess.run(words, capture_output=True, check=True, text=True, cwd=folder)
    return json.loads(done.stdout.splitlines()[-1])


def tops(modules: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def third_party(modules: list[str]) -> set[str]:
    return {name for name in tops(modules) if name not in sys.stdlib_module_names and name != "headrace" and not name.startswith("_")}


def test_root_is_cheap(tmp_path: Path) -> None:
    modules = new_modules("import headrace", tmp_path)
    assert "headrace" in modules
    assert len(modules) <= 60
    assert third_party(modules) == set()


def test_flow_and_task_are_cheap(tmp_path: Path) -> None:
    modules = new_modules("from headrace import flow, task", tmp_path)
    assert "headrace.engine.flow" in modules
    assert len(modules) <= 300
    assert tops(modules) & HEAVY == set()
    assert {name for name in tops(modules) if name.startswith("headrace_")} == set()


def test_help_of_the_command_line_is_cheap(tmp_path: Path) -> None:
    statement = "import headrace.cli.main as cli, contextlib\nwith contextlib.suppress(SystemExit): cli.main(['--help'])"
    modules = new_modules(statement, tmp_path)
    assert "headrace.cli.main" in modules
    assert tops(modules) & (HEAVY - {"asyncio", "pluggy", "rich"}) == set()
    assert {name for name in modules if name.startswith(("headrace.engine", "headrace.store", "headrace.operations"))} == set()


@pytest.mark.parametrize("door", ["headrace.states", "headrace.artifacts", "headrace.variables", "headrace.blocks.core"])
def test_doors_to_saved_things_leave_the_database_alone(door: str, tmp_path: Path) -> None:
    modules = new_modules(f"import {door}", tmp_path)
    assert door in modules
    assert tops(modules) & {"sqlalchemy", "sqlite3", "alembic", "fastapi"} == set()


def test_importing_does_no_work(tmp_path: Path) -> None:
    statement = "import threading, os, headrace.flows, headrace.tasks; assert threading.active_count() == 1; assert os.listdir() == []"
    assert "headrace.tasks" in new_modules(statement, tmp_path)
    assert not (tmp_path / "headrace-home").exists()
