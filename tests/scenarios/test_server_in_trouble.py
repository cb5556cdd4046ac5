"""A server whose disk is full, whose PostgreSQL restarts, or which is told to stop, each under load: it says so, and goes on or ends well."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from headrace.testing.server import free_port, server_process
from scenarios.server_load import SLOTS, Load, check

pytestmark = [pytest.mark.scenario, pytest.mark.services]

WAIT_SECONDS = 30.0


def wait_for(what: Callable[[], object]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def answered(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


# --- a full disk


@contextmanager
def server_on_a_small_disk(folder: Path, log: Path) -> Generator[tuple[str, Path], None, None]:
    """Run a server whose home is a file system of its own; yield its address, and where this process sees that file system."""
    unshare = shutil.which("unshare")
    assert unshare is not None, "util-linux's `unshare` is needed to make a small disk"
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    port = free_port()
    inner = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'
    command = [sys.executable, "-m", "headrace", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [unshare, *rights, "--mount", "sh", "-c", inner, str(folder), *command],
            env={**os.environ, "HEADRACE_HOME": str(folder / "home")}, stderr=out, stdout=out,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/api"
        wait_for(lambda: answered(url))
        yield url, Path(f"/proc/{process.pid}/root{folder}")
    finally:
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0


def test_a_full_disk_is_said_and_outlived(tmp_path: Path) -> None:
    folder, log = tmp_path / "disk", tmp_path / "log"
    folder.mkdir()
    with server_on_a_small_disk(folder, log) as (url, disk), httpx.Client(base_url=url, timeout=30) as http:
        (disk / "ballast").write_bytes(bytes(1_000_000))
        stored: list[str] = []

        def store() -> httpx.Response:
            answer = http.post("/variables/", json={"name": f"v{len(stored)}", "value": "x" * 4_000})
            if answer.is_success:
                stored.append(answer.json()["id"])
            return answer

        answer = store()
        while answer.is_success:
            answer = store()
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "is full" in log.read_text()
        assert "Free some space" in log.read_text()
        assert "Traceback" not in log.read_text()
        assert http.get(f"/variables/{stored[-1]}").json()["id"] == stored[-1]
        assert http.get("/health").is_success
        (disk / "ballast").unlink()
        wait_for(lambda: store().is_success)
        assert http.post("/variables/count", json={}).json() == len(stored)


# --- PostgreSQL restarts


class Postgres:
    """A PostgreSQL of this test's own, which may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._programs = Path(shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))))).resolve().parent
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(folder, "postgres", "postgres")
        self._folder = folder
        self._port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        words = [self._programs / "initdb", "-D", folder / "cluster", "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **self._user)

    def start(self) -> None:
        place = [f"-cport={self._port}", f"-cunix_socket_directories={self._folder}", "-clisten_addresses=127.0.0.1"]
        command = [self._programs / "postgres", "-D", self._folder / "cluster", *place]
        with (self._folder / "log").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, cwd=self._folder, **self._user)
        status = self._folder / "cluster" / "postmaster.pid"
        wait_for(lambda: status.exists() and status.read_text().rstrip().endswith("ready"))

    def stop(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        self._process.wait(WAIT_SECONDS)


@pytest.fixture
def postgres() -> Generator[Postgres, None, None]:
    with tempfile.TemporaryDirectory(prefix="headrace-scenario-") as folder:  # pytest's own folders are closed to other users
        made = Postgres(Path(folder))
        made.start()
        yield made
        made.stop(signal.SIGINT)


@pytest.mark.timeout(150)
def test_a_restart_of_postgresql_costs_time_alone(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_DATABASE_CONNECTION_URL", postgres.url)
    load = Load()
    with server_process() as server:
        load.urls = [server.url]
        assert httpx.post(f"{server.url}/v2/concurrency_limits/", json={"name": "dam", "limit": SLOTS}).status_code == 201
        with load.running():
            for how in (signal.SIGINT, signal.SIGQUIT):  # in order, and as after a crash
                before = load.busy.total()
                time.sleep(1)
                postgres.stop(how)
                wait_for(lambda before=before: load.busy.total() > before)
                assert httpx.get(f"{server.url}/ready", timeout=30).status_code == 503
                assert httpx.get(f"{server.url}/health", timeout=30).is_success
                postgres.start()
                wait_for(lambda: httpx.get(f"{server.url}/ready", timeout=30).is_success)
            time.sleep(1)
        assert load.errors == []
        assert set(load.busy) == {"1"}  # each said when to ask again
        check(server.url, load.told, 4)


# --- told to stop


def test_a_server_that_is_told_to_stop_under_load_answers_what_it_has_begun(home: Path) -> None:
    closed: list[tuple[int | None, str]] = []
    load = Load()
    with server_process() as server:
        load.urls = [server.url]
        assert httpx.post(f"{server.url}/v2/concurrency_limits/", json={"name": "dam", "limit": SLOTS}).status_code == 201

        def listen() -> None:
            with connect(server.url.replace("http", "ws", 1) + "/events/out") as events:
                events.send(json.dumps({"type": "filter", "filter": {}}))
                ready.set()
                try:
                    while True:
                        events.recv()
                except ConnectionClosed as end:
                    closed.append((end.rcvd.code, end.rcvd.reason) if end.rcvd else (None, ""))

        ready = threading.Event()
        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        assert ready.wait(WAIT_SECONDS)
        with connect(server.url.replace("http", "ws", 1) + "/events/in") as into, load.running():
            time.sleep(2)
            now = datetime.now(UTC).isoformat()
            for number in range(300):
                event = {"id": str(uuid4()), "event": "load.sent", "resource": {"prefect.resource.id": f"sent.{number}"}, "occurred": now}
                into.send(json.dumps(event))
            assert into.ping().wait(WAIT_SECONDS)  # they have arrived
            half = half_a_request(server.url)
            server.process.send_signal(signal.SIGTERM)
            half.sendall(b'"name": "half"}')
            assert b" 201 " in half.recv(1000)
            assert server.process.wait(WAIT_SECONDS) == 0
            listener.join(WAIT_SECONDS)
            assert closed == [(1012, "The server is stopping; connect again")]
            with server_process() as again:
                load.urls = [again.url]
                load.stop.set()
                wait_for(lambda: not load.are_working())
                assert load.errors == []
                check(again.url, load.told, 4)
                sent = httpx.post(f"{again.url}/events/filter", json={"filter": {"event": {"name": ["load.sent"]}}})
                assert sent.json()["total"] == 300


def half_a_request(url: str) -> socket.socket:
    """Begin a request; the rest of it is `"name": "half"}`."""
    host, _, port = url.removeprefix("http://").removesuffix("/api").partition(":")
    begun = socket.create_connection((host, int(port)), timeout=WAIT_SECONDS)
    begun.sendall(b"POST /api/flows/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{")
    time.sleep(0.2)
    return begun
