"""The same tests of dbt's projects, on DuckDB and PostgreSQL, with the other minor version of dbt that is supported.

The rest of the tests run with the version that the repository's constraints name, 1.11.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[1]
ROOT = PLUGIN.parents[1]
OTHER = "dbt-core>=1.10.2,<1.11"
TESTS = [
    "test_runner.py",
    "test_commands.py::test_build_makes_a_summary_and_logs_what_dbt_says",
    "test_commands.py::test_a_failure_fails_the_task_after_its_summary",
    "test_commands.py::test_every_command_has_a_task",
    "test_commands.py::test_any_command_is_run",
    "test_commands.py::test_global_configs_hold",
    "test_configs.py::test_a_project_is_built_in_postgres",
    "test_configs.py::test_values_of_blocks_reach_dbt_as_the_types_that_they_are",
]
FREE = re.compile(r"(dbt-|sqlparse|mashumaro|click|protobuf|pathspec|daff)", re.IGNORECASE)
"""What the versions of dbt do not agree on."""


@pytest.fixture(scope="session")
def other_python() -> Iterator[Path]:
    """Give the interpreter of an environment with this plugin, its tests' tools and the other version of dbt.

    It is made before a test has a home of its own, where uv would find nothing that it has fetched before.
    """
    uv = shutil.which("uv")
    assert uv is not None, "This test makes an environment with uv: pip install uv"
    with tempfile.TemporaryDirectory(prefix="headrace-dbt-") as name:  # it is too large for pytest's kept folders
        python = Path(name) / "environment" / "bin" / "python"
        constraints = Path(name) / "constraints.txt"
        constraints.write_text("".join(line for line in (ROOT / "constraints.txt").open() if not FREE.match(line)))
        parts = ["--editable", f"{ROOT / 'core'}[server]", "--editable", str(PLUGIN), OTHER]
        groups = [word for folder in (ROOT, PLUGIN) for word in ("--group", f"{folder / 'pyproject.toml'}:tests")]
        for words in (
            ["venv", "--python", sys.executable, str(python.parents[1])],
            ["pip", "install", "--python", str(python), "--constraints", str(constraints), *parts, *groups],
        ):
            done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        yield python


def test_dbt_1_10_does_what_dbt_1_11_does(other_python: Path, tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") and name != "VIRTUAL_ENV"}
    asked = "import dbt.version; print(dbt.version.installed)"
    version = subprocess.run([other_python, "-c", asked], capture_output=True, text=True, check=True, env=own)
    assert "1.10." in version.stdout
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tests'}", *(str(PLUGIN / "tests" / one) for one in TESTS)]
    done = subprocess.run([other_python, *words], capture_output=True, text=True, check=False, env=own, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed" in done.stdout
