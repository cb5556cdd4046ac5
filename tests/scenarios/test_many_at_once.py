"""Sixteen clients do the same at the same moment: at one server on SQLite, at four on one PostgreSQL. It happens once, and limits hold."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from headrace.testing.server import server_process
from scenarios.server_load import listed

pytestmark = pytest.mark.scenario

CLIENTS = 16
HELD_MAX = 3
SECONDS = 4.0

AtOnce = Callable[[Callable[[httpx.Client, int], httpx.Response]], list[httpx.Response]]


@pytest.fixture
def clients(database: str) -> Generator[list[httpx.Client], None, None]:
    """Sixteen clients of as many servers as the database allows."""
    with ExitStack() as opened:
        servers = 4 if database == "postgres" else 1
        options = ["--no-services"] if servers > 1 else []
        urls = [opened.enter_context(server_process(*options)).url for _ in range(servers)]
        yield [opened.enter_context(httpx.Client(base_url=urls[number % servers], timeout=60)) for number in range(CLIENTS)]


@pytest.fixture
def at_once(clients: list[httpx.Client]) -> Generator[AtOnce, None, None]:
    """Have every client do it, all at the same moment."""
    barrier = threading.Barrier(CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as threads:

        def one(work: Callable[[httpx.Client, int], httpx.Response], number: int) -> httpx.Response:
            barrier.wait(60)
            return work(clients[number], number)

        yield lambda work: list(threads.map(lambda number: one(work, number), range(CLIENTS)))


def statuses(answers: list[httpx.Response]) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


def made(http: httpx.Client, path: str, body: Any) -> str:
    return http.post(path, json=body).raise_for_status().json()["id"]


@pytest.mark.timeout(90)
def test_what_is_named_alike_is_made_once(clients: list[httpx.Client], at_once: AtOnce) -> None:
    first, rest = 1, CLIENTS - 1
    flow = made(clients[0], "/flows/", {"name": "f"})
    for key in ("a", "b", "c"):
        runs = at_once(lambda http, _, key=key: http.post("/flow_runs/", json={"flow_id": flow, "idempotency_key": key}))
        assert statuses(runs) == {201: first, 200: rest}
        assert len({run.json()["id"] for run in runs}) == 1
    kind = made(clients[0], "/block_types/", {"name": "T", "slug": "t"})
    schema = made(clients[0], "/block_schemas/", {"block_type_id": kind, "fields": {"type": "object", "properties": {}}})
    block = {"name": "b", "data": {}, "block_type_id": kind, "block_schema_id": schema}
    for path, body in (("/block_documents/", block), ("/work_pools/", {"name": "p", "type": "process"}), ("/variables/", {"name": "v", "value": 1})):
        assert statuses(at_once(lambda http, _, path=path, body=body: http.post(path, json=body))) == {201: first, 409: rest}, path
    about = {"name": "d", "flow_id": flow, "work_pool_name": "p", "work_queue_name": "q"}
    upserted = at_once(
        lambda http, number: http.post(
            "/deployments/",
            json={**about, "version": str(number), "schedules": [{"slug": "s", "schedule": {"interval": 3600 + number}, "active": True}]},
        )
    )
    assert statuses(upserted) == {201: first, 200: rest}
    [deployment] = {answer.json()["id"] for answer in upserted}
    found = clients[0].get(f"/deployments/{deployment}").json()
    [schedule] = found["schedules"]
    assert schedule["schedule"]["interval"] == 3600 + int(found["version"])  # all of it is of one of them


@pytest.mark.timeout(90)
def test_queues_of_a_pool_never_share_a_priority(clients: list[httpx.Client], at_once: AtOnce) -> None:
    made(clients[0], "/work_pools/", {"name": "p", "type": "process"})
    assert statuses(at_once(lambda http, number: http.post("/work_pools/p/queues", json={"name": f"q{number}", "priority": 1}))) == {201: CLIENTS}
    for _ in range(3):
        moved = at_once(lambda http, number: http.patch(f"/work_pools/p/queues/q{number}", json={"priority": random.randint(1, 5)}))
        assert statuses(moved) == {204: CLIENTS}
    priorities = [queue["priority"] for queue in clients[0].post("/work_pools/p/queues/filter", json={}).json()]
    assert len(set(priorities)) == len(priorities) == CLIENTS + 1  # and the default one


@pytest.mark.timeout(90)
def test_a_limit_is_never_oversubscribed_and_its_slots_come_back(clients: list[httpx.Client]) -> None:
    made(clients[0], "/v2/concurrency_limits/", {"name": "narrow", "limit": HELD_MAX})
    made(clients[0], "/v2/concurrency_limits/", {"name": "wide", "limit": HELD_MAX + 2})
    held, most, taken, lock = 0, 0, 0, threading.Lock()
    until = time.monotonic() + SECONDS

    def hold(http: httpx.Client) -> None:
        nonlocal held, most, taken
        while time.monotonic() < until:
            names = random.sample(["narrow", "wide"], 2)
            asked = {"slots": 1, "names": names, "mode": "concurrency", "lease_duration": 60}
            answer = http.post("/v2/concurrency_limits/increment-with-lease", json=asked)
            if answer.status_code == 423:
                continue
            lease = answer.raise_for_status().json()["lease_id"]
            with lock:
                held, taken = held + 1, taken + 1
                most = max(most, held)
            time.sleep(0.005)
            with lock:
                held -= 1
            http.post("/v2/concurrency_limits/decrement-with-lease", json={"lease_id": lease}).raise_for_status()

    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(hold, clients))
    assert taken > HELD_MAX
    assert most <= HELD_MAX
    assert [clients[0].get(f"/v2/concurrency_limits/{name}").json()["active_slots"] for name in ("narrow", "wide")] == [0, 0]


@pytest.mark.timeout(90)
def test_one_transition_is_applied_once(clients: list[httpx.Client], at_once: AtOnce) -> None:
    flow = made(clients[0], "/flows/", {"name": "f"})
    run = made(clients[0], "/flow_runs/", {"flow_id": flow, "state": {"type": "PENDING"}})
    state = {"type": "RUNNING", "state_details": {"transition_id": str(uuid.uuid4())}}
    answers = at_once(lambda http, _: http.post(f"/flow_runs/{run}/set_state", json={"state": state}))
    assert {answer.json()["state"]["type"] for answer in answers} <= {"RUNNING", "PENDING"}
    assert clients[0].get(f"/flow_runs/{run}").json()["run_count"] == 1
    assert len(clients[0].get("/flow_run_states/", params={"flow_run_id": run}).json()) == 2


@pytest.mark.timeout(90)
def test_two_schedulers_make_each_run_once(clients: list[httpx.Client], home: Path, tmp_path: Path) -> None:
    flow = made(clients[0], "/flows/", {"name": "f"})
    quick = {f"HEADRACE_SERVER_SERVICES_SCHEDULER_{name}": value for name, value in (("LOOP_SECONDS", "0.1"), ("MIN_RUNS", "30"), ("MAX_RUNS", "30"))}
    command = [sys.executable, "-u", "-m", "headrace", "server", "services", "start"]
    shared = {"HEADRACE_SERVER_DATABASE_CONNECTION_URL": f"sqlite:///{home / 'headrace.db'}", **os.environ, **quick}  # a home has one of them
    homes = [str(tmp_path / name) for name in ("one", "other")]
    services = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**shared, "HEADRACE_HOME": home}) for home in homes]
    try:
        for process in services:
            assert process.stdout is not None and process.stdout.readline().startswith("Running ")
        body = {"name": "d", "flow_id": flow, "schedules": [{"schedule": {"interval": 1}, "active": True}]}
        deployment = made(clients[0], "/deployments/", body)
        url = str(clients[0].base_url).rstrip("/")

        def starts() -> list[float]:
            runs = listed(url, "/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}})
            return sorted(datetime.fromisoformat(run["expected_start_time"]).timestamp() for run in runs)

        deadline = time.monotonic() + 40
        while len(starts()) < 40 and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        for process in services:
            process.terminate()
        assert [process.wait(30) for process in services] == [0, 0]
    found = starts()
    assert len(found) >= 40
    assert {after - before for before, after in pairwise(found)} == {1.0}
