"""The published fixtures, used as a plugin's tests use them."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["headrace.testing.fixtures"]'


@pytest.fixture(autouse=True)
def _with_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)


def test_homes_are_the_tests_own_and_reach_child_processes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_API_URL", "http://nowhere.invalid/api")
    pytester.makepyfile(
        """
        import os, subprocess, sys
        from headrace import flow
        from headrace.settings import get_current_settings

        @flow
        def greet():
            return 1

        def test_home(temporary_home):
            assert get_current_settings().home == temporary_home
            assert get_current_settings().api.url is None
            assert greet() == 1
            assert (temporary_home / "headrace.db").exists()
            code = "from headrace.settings import get_current_settings as s; print(s().home)"
            shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
            assert shown.strip() == str(temporary_home)

        def test_harness(headrace_test_harness):
            assert get_current_settings().home != os.environ.get("HEADRACE_HOME")
            assert greet() == 1
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_clock_passes_when_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from headrace.model import clock

        def test_sleep_takes_no_time(controlled_clock):
            before = clock.now()
            clock.sleep(3600)
            controlled_clock.pass_time(60)
            assert (clock.now() - before).total_seconds() == 3660
            assert controlled_clock.slept == [3600]
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_caplog_sees_loggers_that_do_not_propagate(caplog: pytest.LogCaptureFixture) -> None:
    from headrace.testing.fixtures import add_headrace_loggers_to_caplog

    logger = logging.getLogger("headrace.apart")
    logger.propagate = False  # once the test runs: newer versions of pytest look for such loggers before it
    try:
        logger.warning("before")
        with add_headrace_loggers_to_caplog(caplog), add_headrace_loggers_to_caplog(caplog):
            logger.warning("within")
        logger.warning("after")
    finally:
        logger.propagate = True
    assert caplog.messages == ["within"]


def test_ports_in_use_are_told(tmp_path: Path) -> None:
    from headrace.testing.fixtures import is_port_in_use

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert is_port_in_use(port)
    assert not is_port_in_use(port)
