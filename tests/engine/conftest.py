"""Fixtures of the engine's tests: the two modes, what was stored, and programs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from engine.modes import Mode, Program, Stored
from headrace.client.spool import close_process_spool


@pytest.fixture(autouse=True)
def own_spool(home: Path) -> Generator[None, None, None]:
    """Give the test an outbox in its own home, and deliver and remove it afterwards."""
    close_process_spool()
    yield
    close_process_spool()


@pytest.fixture(params=["blocking", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """The kind of functions that flows and tasks are made of."""
    return Mode(request.param)


@pytest.fixture
def stored() -> Stored:
    """What the test's runs left in the store."""
    return Stored()


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Program]:
    """Make a program of a text."""
    return lambda text: Program(tmp_path, text)
