"""A full disk and a read-only home give one clear error. The disks are small file systems of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.scenarios.conftest import Scripts

pytestmark = pytest.mark.scenario

FLOW = """
    from headrace import flow, task

    @task
    def step(number):
        return number

    @flow
    def many():
        for number in range(20_000):
            step(number)

    many()
"""


def _on_a_disk(options: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a mount name space of its own, in which `folder` is a file system with these options."""
    unshare = shutil.which("unshare")
    assert unshare is not None, "util-linux's `unshare` is needed to make a small disk"
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    inner = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
    environment = {**os.environ, "HEADRACE_HOME": str(folder / "home"), "HEADRACE_LOGGING_LEVEL": "WARNING"}
    return subprocess.run(
        [unshare, *rights, "--mount", "sh", "-c", inner, str(folder), *command], capture_output=True, text=True, timeout=120, env=environment
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("size", ["1500k", "64k"])
def test_a_full_disk_gives_one_clear_error(scripts: Scripts, disk: Path, size: str) -> None:
    script = scripts.write("many.py", FLOW)

    ended = _on_a_disk(f"size={size}", disk, sys.executable, str(script))

    assert ended.returncode == 1
    assert ended.stderr.count("StoreError: ") == 1, ended.stderr
    assert "full" in ended.stderr or "No space left" in ended.stderr
    assert "Free some space" in ended.stderr


def test_a_read_only_home_gives_one_clear_error(scripts: Scripts, disk: Path) -> None:
    script = scripts.write("many.py", FLOW)

    ended = _on_a_disk("ro", disk, sys.executable, str(script))

    assert ended.returncode == 1
    assert ended.stderr.count("StoreError: ") == 1, ended.stderr
    assert "Read-only file system" in ended.stderr
    assert "HEADRACE_HOME" in ended.stderr


def test_the_command_line_says_it_in_one_line(disk: Path) -> None:
    ended = _on_a_disk("ro", disk, sys.executable, "-m", "headrace.cli.main", "flow-run", "ls")

    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) <= 2
    assert "Read-only file system" in ended.stderr
