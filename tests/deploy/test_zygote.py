"""The process that forks others: what was asked of it is done, though whoever asked dies."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SECONDS_MAX = 30.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every run gets a process that starts anew")


def _ask(channel: socket.socket, folder: Path) -> int:
    """Ask for a process that has no run to run, and says so; return the descriptor that its output can be read from."""
    output, writer = os.pipe()
    lifeline, _ = os.pipe()  # its other end stays open, or what the process prints would go nowhere
    with tempfile.TemporaryFile("w+") as request:
        json.dump({"env": {"PATH": os.environ["PATH"]}, "cwd": str(folder)}, request)
        request.flush()
        socket.send_fds(channel, [b"run"], [request.fileno(), writer, output, lifeline])
    for one in (writer, lifeline):
        os.close(one)
    return output


def _said(output: int) -> str:
    assert select.select([output], [], [], SECONDS_MAX)[0], "nobody says anything"
    with os.fdopen(output) as file:
        return file.readline()


def test_what_a_dead_process_asked_for_is_forked_though_it_had_not_read_what_it_was_told(tmp_path: Path) -> None:
    channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with other:
        zygote = subprocess.Popen([sys.executable, "-m", "headrace.deploy.zygote", str(other.fileno())], pass_fds=[other.fileno()])
    first = _ask(channel, tmp_path)
    assert select.select([channel], [], [], SECONDS_MAX)[0]  # it has forked the first and says so, which is not read
    second = _ask(channel, tmp_path)
    channel.close()
    assert "Nothing says which flow run to run" in _said(first)
    assert "Nothing says which flow run to run" in _said(second)
    assert zygote.wait(SECONDS_MAX) == 0
