"""The server as a process: started, found, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from headrace.testing.server import free_port, server_process

pytestmark = pytest.mark.scenario


def headrace(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headrace", "server", *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)


def wait_until_closed(host: str, port: int) -> None:
    while True:
        try:
            socket.create_connection((host, port), timeout=20).close()
        except OSError:
            return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_that_was_begun_is_answered_before_the_end(number: int) -> None:
    with server_process("--no-services") as server:
        host, port = server.url.removeprefix("http://").removesuffix("/api").split(":")
        body = b'{"name": "last"}'
        with socket.create_connection((host, int(port)), timeout=20) as wire:
            wire.sendall(b"POST /api/flows/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body[:5]))
            httpx.get(f"{server.url}/ready")  # what was sent before is read by now
            server.process.send_signal(number)
            wait_until_closed(host, int(port))
            wire.sendall(body[5:])
            assert wire.recv(100).startswith(b"HTTP/1.1 201")
        assert server.stop() == 0


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = headrace("start", "--port", str(port))
    assert ended.returncode == 1
    assert f"cannot listen at 127.0.0.1, port {port}" in ended.stderr


def test_a_database_that_cannot_be_opened_keeps_the_server_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "no.db"
    file.write_text("This is not a database. " * 100)
    ended = headrace("start", "--port", str(free_port()), HEADRACE_SERVER_DATABASE_CONNECTION_URL=f"sqlite:///{file}")
    assert ended.returncode == 1
    assert f"{file} is not a database" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("Error") == 1
    assert "listens" not in ended.stderr


def test_several_processes_need_postgresql() -> None:
    ended = headrace("start", "--workers", "2", "--port", str(free_port()))
    assert ended.returncode == 1
    assert "need PostgreSQL" in ended.stderr


def test_one_server_of_a_home_runs_in_the_background(home: Path) -> None:
    port = str(free_port())
    started = headrace("start", "--background", "--port", port, "--no-services")
    try:
        assert started.returncode == 0, started.stderr
        assert httpx.get(f"http://127.0.0.1:{port}/api/health").json() is True
        status = headrace("status", "--output", "json")
        found = json.loads(status.stdout)
        assert found.pop("background_pid") == json.loads((home / "server.pid").read_text())["pid"]
        assert found == {"status": "healthy", "api_url": f"http://127.0.0.1:{port}/api", "server_version": "3.8.8"}
        second = headrace("start", "--background", "--port", str(free_port()))
        assert second.returncode == 1
        assert "runs in the background already" in second.stderr
    finally:
        stopped = headrace("stop")
    assert stopped.returncode == 0
    assert headrace("stop").returncode == 1
    assert not (home / "server.pid").exists()


def test_a_file_that_a_killed_server_left_misleads_nobody(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "server.pid").write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:1/api"}))
    assert headrace("stop").returncode == 1
    assert headrace("status", HEADRACE_API_URL="http://127.0.0.1:1/api").returncode == 7


def test_what_a_background_server_says_at_a_bad_start_is_shown(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "headrace.db").write_text("This is not a database. " * 100)
    ended = headrace("start", "--background", "--port", str(free_port()))
    assert ended.returncode == 1
    assert "is not a database" in ended.stderr


def test_flows_of_dead_processes_are_crashed_when_the_server_starts(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text("import os, signal\nfrom headrace import flow\n\n@flow\ndef killed():\n    os.kill(os.getpid(), signal.SIGKILL)\n\nkilled()\n")
    subprocess.run([sys.executable, str(script)], timeout=60)
    with server_process("--no-services") as server, httpx.Client(base_url=server.url, timeout=30) as http:
        for _ in range(200):
            [run] = http.post("/flow_runs/filter").json()
            if run["state_type"] == "CRASHED":
                break
            assert http.get("/block_types/slug/secret").status_code in (200, 404)  # takes a turn behind what the server does at its start
        assert run["state_type"] == "CRASHED"
