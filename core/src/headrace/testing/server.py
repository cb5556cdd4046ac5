"""Servers for tests: in this process, or as a process of its own. Load with `pytest_plugins = ["headrace.testing.server"]`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from headrace.model import clock
from headrace.server.app import Application
from headrace.server.options import Options, options_in_force
from headrace.server.serving import serving_in_thread
from headrace.settings import get_current_settings
from headrace.store.database import Database

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 30.0


@contextmanager
def running_server(
    database: Database | None = None, options: Options | None = None, mode: Literal["all", "web"] = "web"
) -> Generator[str, None, None]:
    """Serve a database from this process, on a free port, while the block lasts; yield the address of the API (`http://127.0.0.1:…/api`).

    Without a database, that of the settings in force is served; without options, they are those of the settings. `mode` as in `Application`.
    """
    served = database or Database(get_current_settings().server.database.connection_url.get_secret_value())
    with serving_in_thread(Application(served, options or options_in_force(), mode)) as url:
        yield url


@pytest.fixture
def server() -> Generator[str, None, None]:
    """Serve the test's database without background services; return the address of the API."""
    with running_server() as url:
        yield url


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that runs as a process of its own; `url` is the address of its API."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit status. Once it has ended, only the status is returned."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS_MAX)


@contextmanager
def server_process(*arguments: str, environment: Mapping[str, str] | None = None, port: int | None = None) -> Generator[ServerProcess, None, None]:
    """Run `headrace server start`, with these arguments and further variables, until the block ends. `port`: default a free one."""
    port = port or free_port()
    command = [sys.executable, "-m", "headrace", "server", "start", "--host", "127.0.0.1", "--port", str(port), *arguments]
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})})
    found = ServerProcess(f"http://127.0.0.1:{port}/api", process)
    try:
        _await_health(found)
        yield found
    finally:
        found.stop()


def free_port() -> int:
    """Return a TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_health(server: ServerProcess) -> None:
    deadline = clock.monotonic() + START_SECONDS_MAX
    while True:
        try:
            with urlopen(f"{server.url}/health", timeout=5):
                return
        except (URLError, ConnectionError) as error:
            if server.process.poll() is not None:
                raise RuntimeError(f"The server ended with status {server.process.returncode} before it answered.") from error
            if clock.monotonic() > deadline:
                raise
        clock.sleep(0.02)
