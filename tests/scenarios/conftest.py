"""What scenarios stand on: scripts run as processes of their own, in a home that they share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest


class Scripts:
    """Writes scripts into a folder and runs them with this interpreter, in the test's home."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(dedent(text))
        return path

    def start(self, script: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "HEADRACE_HOME": str(self.home), "HEADRACE_LOGGING_LEVEL": "WARNING", **variables}
        command = [sys.executable, "-u", str(script), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def run(self, script: Path, *arguments: str, timeout: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(script, *arguments, **variables)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def scripts(tmp_path: Path, home: Path) -> Scripts:
    return Scripts(tmp_path, home)


@pytest.fixture
def rows(home: Path) -> Callable[[str], list[tuple[object, ...]]]:
    """Read the database file as another program would."""
    import sqlite3

    def read(sql: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(home / "headrace.db") as connection:
            return connection.execute(sql).fetchall()

    return read
