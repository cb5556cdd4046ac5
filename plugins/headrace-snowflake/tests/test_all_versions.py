"""The same tests with version 5 of the connector, which the server cannot live beside: it stays in this environment."""

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
NEWEST = ("snowflake-connector-python[pandas]>=5", "pyjwt>=2")
TESTS = ("test_credentials.py", "test_database.py", "test_spcs.py")
MOVES_FILES = ("test_statements_of_several_kinds", "test_a_put_statement", "test_a_data_frame_is_written")
"""Tests that the server cannot serve: it has no storage that version 5 would write to."""
FREE = re.compile(r"(snowflake-connector|pandas|numpy|pyjwt)", re.IGNORECASE)
"""What the versions of the connector do not agree on."""


@pytest.fixture(scope="session")
def other_python() -> Iterator[Path]:
    """Give the interpreter of an environment with this plugin, pytest and the newest version of the connector."""
    uv = shutil.which("uv")
    assert uv is not None, "This test makes an environment with uv: pip install uv"
    with tempfile.TemporaryDirectory(prefix="headrace-snowflake-") as name:  # it is too large for pytest's kept folders
        python = Path(name) / "environment" / "bin" / "python"
        constraints = Path(name) / "constraints.txt"
        constraints.write_text("".join(line for line in (ROOT / "constraints.txt").open() if not FREE.match(line)))
        parts = ["--editable", f"{ROOT / 'core'}[server]", "--editable", str(PLUGIN), "--group", f"{ROOT / 'pyproject.toml'}:tests", *NEWEST]
        for words in (
            ["venv", "--python", sys.executable, str(python.parents[1])],
            ["pip", "install", "--python", str(python), "--constraints", str(constraints), *parts],
        ):
            done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        yield python


def test_version_5_of_the_connector_does_what_version_4_does(other_python: Path, tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_") and name != "VIRTUAL_ENV"}
    own["SNOWFLAKE_SERVER_PYTHON"] = sys.executable
    asked = "import snowflake.connector; print(snowflake.connector.__version__)"
    version = subprocess.run([other_python, "-c", asked], capture_output=True, text=True, check=True, env=own)
    assert version.stdout.startswith("5.")
    chosen = " and ".join(f"not {one}" for one in MOVES_FILES)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tests'}", "-k", chosen]
    tests = [str(PLUGIN / "tests" / one) for one in TESTS]
    done = subprocess.run([other_python, *words, *tests], capture_output=True, text=True, check=False, env=own, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed" in done.stdout
