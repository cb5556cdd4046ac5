"""Processes that use a service, and what becomes of it when they die."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from headrace.testing.services import shared_service

USER = """
    import sys
    from pathlib import Path
    from headrace.testing.services import shared_service
    with shared_service(sys.argv[1], Path(sys.argv[2])) as address:
        print(address, flush=True)
        sys.stdin.read()
"""


def is_open(address: str) -> bool:
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(address.removeprefix("unix://")) == 0
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0


def start_user(kind: str, folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-c", textwrap.dedent(USER), kind, str(folder)]
    user = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    return user, user.stdout.readline().strip()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait until `condition` holds, for a bounded time."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def assert_is_shared(kind: str, folder: Path) -> None:
    first, address = start_user(kind, folder)
    second, same = start_user(kind, folder)
    assert address == same
    assert is_open(address)
    server = json.loads((folder / f"{kind}.json").read_text())["pid"]
    first.kill()
    first.communicate()
    assert is_open(address)
    second.kill()  # nobody tidied up
    second.communicate()
    assert comes_true(lambda: not is_open(address) and not is_alive(server))
    with shared_service(kind, folder) as next_address:
        assert is_open(next_address)
