"""Fixtures for tests of flows and plugins. Documented as `headrace.testing.fixtures`.

Load them with `pytest_plugins = ["headrace.testing.fixtures"]` in the top `conftest.py`.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from headrace.model import clock
from headrace.testing import utilities
from headrace.testing.clock import ControlledClock


@pytest.fixture(name="headrace_test_harness")
def harness() -> Generator[None, None, None]:
    """Run the test against a temporary home and database; see `headrace.testing.utilities.headrace_test_harness`."""
    with utilities.headrace_test_harness():
        yield


@pytest.fixture
def temporary_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path, None, None]:
    """Give the test a home of its own, without the settings of the machine's environment, and return its folder.

    Processes that the test starts use this home too, since it is named in their environment.
    """
    for name in list(os.environ):
        if name.startswith("HEADRACE_"):
            monkeypatch.delenv(name)
    home = tmp_path / "headrace-home"
    home.mkdir()
    monkeypatch.setenv("HEADRACE_HOME", str(home))
    with utilities.home_at(home):
        yield home


@pytest.fixture
def controlled_clock() -> Generator[ControlledClock, None, None]:
    """Let time pass only when the test says so: `controlled_clock.pass_time(60)`. Sleeping takes no time."""
    held = ControlledClock()
    with clock.use(held):
        yield held


@contextmanager
def add_headrace_loggers_to_caplog(caplog: pytest.LogCaptureFixture) -> Generator[None, None, None]:
    """Show `caplog` what headrace's loggers write, those included that a logging configuration keeps from the root logger."""
    names = ["headrace", *(name for name in logging.root.manager.loggerDict if name.startswith("headrace."))]
    apart = [logger for logger in map(logging.getLogger, names) if not logger.propagate and caplog.handler not in logger.handlers]
    with ExitStack() as undo:
        for logger in apart:
            logger.addHandler(caplog.handler)
            undo.callback(logger.removeHandler, caplog.handler)
        yield


@pytest.fixture
def headrace_caplog(caplog: pytest.LogCaptureFixture) -> Generator[pytest.LogCaptureFixture, None, None]:
    """Capture logs as `caplog` does, with all of headrace's loggers; see `add_headrace_loggers_to_caplog`."""
    with add_headrace_loggers_to_caplog(caplog):
        yield caplog


def is_port_in_use(port: int) -> bool:
    """Say whether something listens on a TCP port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
