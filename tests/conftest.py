"""What every test stands on: a home of its own and an environment without settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.settings.in_force import process


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
