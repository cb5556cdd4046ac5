"""What all starters of real services need: a free port, waiting until the service answers, and one error for a machine that cannot."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.model import clock

START_SECONDS_MAX = 60.0


class ServiceMissing(Exception):
    """A service cannot be started on this machine; the text says what to install."""


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_open(port: int) -> bool:
    """Say whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[Any], log: Path) -> None:
    """Wait until the service answers. Raises `ServiceMissing` with what it logged when it ends before that, or takes too long."""
    deadline = clock.monotonic() + START_SECONDS_MAX
    while not ready():
        if process.poll() is not None or clock.monotonic() > deadline:
            raise ServiceMissing(log.read_text(errors="replace"))
        clock.sleep(0.01)
