"""Two servers and a process of services share one PostgreSQL. Whichever of them is killed: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

import httpx
import psycopg
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from headrace.testing.server import ServerProcess, server_process
from scenarios.server_load import SLOTS, Load, check, listed

pytestmark = [pytest.mark.scenario, pytest.mark.services]

KILLS = 8
INTERVAL_SECONDS = 2
WAIT_SECONDS = 20.0


class Subscriber:
    """Follows events at whichever server is there, and connects again when it goes away."""

    def __init__(self, url: Callable[[], str]) -> None:
        self.seen: set[str] = set()
        self.twice: list[str] = []
        self.connections = 0
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    @contextmanager
    def running(self) -> Generator[None, None, None]:
        self._thread.start()
        yield
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._url().replace("http", "ws", 1) + "/events/out", subprotocols=["prefect"]) as socket:  # pyright: ignore[reportArgumentType]
                    self._listen(socket)
            except (OSError, TimeoutError, WebSocketException):
                time.sleep(0.05)

    def _listen(self, socket: Any) -> None:
        socket.send(json.dumps({"type": "auth", "token": None}))
        assert json.loads(socket.recv(10))["type"] == "auth_success"
        wanted = {"event": {"name": ["load.did"]}}
        socket.send(json.dumps({"type": "filter", "filter": wanted}))
        self.connections += 1
        here: set[str] = set()
        while not self._stop.is_set():
            try:
                event = json.loads(socket.recv(0.2))["event"]["id"]
            except TimeoutError:
                continue
            if event in here:
                self.twice.append(event)
            here.add(event)
            self.seen.add(event)


class World:
    """The processes, of which any may be killed and is started again."""

    def __init__(self, processes: ExitStack, load: Load) -> None:
        self._processes = processes
        self._load = load
        self._servers: list[ServerProcess | None] = [None, None]
        self._services: subprocess.Popen[bytes] | None = None

    def start(self, place: int) -> None:
        if place < 2:
            server = self._servers[place] = self._processes.enter_context(server_process("--no-services"))
            self._load.urls[place] = server.url
            return
        quick = {"HEADRACE_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "0.5", "HEADRACE_SERVER_SERVICES_SCHEDULER_MAX_SCHEDULED_TIME": "PT60S"}
        self._services = subprocess.Popen([sys.executable, "-m", "headrace", "server", "services", "start"], env={**os.environ, **quick})
        self._processes.callback(self._services.wait)
        self._processes.callback(self._services.terminate)

    def kill(self, place: int) -> None:
        if place < 2:
            server = self._servers[place]
            assert server is not None
            server.stop(signal.SIGKILL)
        else:
            assert self._services is not None
            self._services.kill()
            self._services.wait()


def deploy(url: str) -> str:
    flow = httpx.post(f"{url}/flows/", json={"name": "timed"}).json()["id"]
    every = {"schedule": {"interval": INTERVAL_SECONDS}, "active": True}
    answer = httpx.post(f"{url}/deployments/", json={"name": "timed", "flow_id": flow, "schedules": [every]})
    return answer.raise_for_status().json()["id"]


@pytest.mark.timeout(200)
def test_whatever_is_killed_nothing_is_lost_and_nothing_is_done_twice(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SERVER_DATABASE_CONNECTION_URL", postgres_url)
    chance = random.Random(5)
    load = Load(servers=2)
    subscribers = [Subscriber(lambda place=place: load.urls[place]) for place in range(2)]
    with ExitStack() as processes:
        world = World(processes, load)
        for place in range(3):
            world.start(place)
        assert httpx.post(f"{load.urls[0]}/v2/concurrency_limits/", json={"name": "dam", "limit": SLOTS}).status_code == 201
        deployment = deploy(load.urls[0])
        with subscribers[0].running(), subscribers[1].running():
            with load.running():
                for number in range(KILLS):
                    load.wait_for_progress()
                    time.sleep(chance.uniform(0, 0.6))
                    place = number % 3
                    world.kill(place)
                    world.start(place)
                time.sleep(0.5)
            assert load.errors == []
            acknowledged = {event for told in load.told for event in told.events}
            deadline = time.monotonic() + WAIT_SECONDS
            while not all(acknowledged <= one.seen for one in subscribers) and time.monotonic() < deadline:
                time.sleep(0.1)
        for place, url in enumerate(load.urls):
            check(url, load.told, KILLS)
            assert acknowledged <= subscribers[place].seen
            assert subscribers[place].twice == []
            assert subscribers[place].connections > 1
        assert_scheduled_once(load.urls[0], deployment)
        taken = httpx.get(f"{load.urls[0]}/v2/concurrency_limits/dam").json()["active_slots"]
        with psycopg.connect(postgres_url) as database:
            row = database.execute("SELECT COUNT(*) FROM concurrency_lease WHERE expires > %s", (int(time.time() * 1_000_000),)).fetchone()
        assert row is not None and taken == row[0] <= SLOTS


def assert_scheduled_once(url: str, deployment: str) -> None:
    """Runs of the schedule follow one another without a gap, and none comes twice."""
    found = listed(url, "/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})
    times = sorted(datetime.fromisoformat(run["expected_start_time"]).timestamp() for run in found)
    assert len(times) >= 3
    assert [after - before for before, after in pairwise(times)] == [INTERVAL_SECONDS] * (len(times) - 1)
