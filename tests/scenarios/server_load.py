"""Clients that load servers which come and go, and what must be there afterwards."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

CLIENTS = 8
SLOTS = 3
PROGRESS_SECONDS_MAX = 30.0


@dataclass
class Told:
    """What the server has acknowledged."""

    states: dict[str, list[str]] = field(default_factory=dict)
    logs: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    task_runs: set[str] = field(default_factory=set)
    leases: dict[str, bool] = field(default_factory=dict)


class Load:
    """Clients that work against whichever server is there, and ask again when it goes away.

    `urls` are those of the servers that share one database: a client asks each in turn. `busy` counts answers with 503 by `Retry-After`.
    """

    def __init__(self, servers: int = 1) -> None:
        self.urls: list[str] = [""] * servers
        self.busy: Counter[str | None] = Counter()
        self._turn = itertools.count()
        self.stop = threading.Event()
        self.told = [Told() for _ in range(CLIENTS)]
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(CLIENTS)]

    @contextmanager
    def running(self) -> Generator[Load, None, None]:
        for thread in self._threads:
            thread.start()
        yield self
        self.stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def wait_for_progress(self) -> None:
        """Wait until as many further states were acknowledged as there are clients: each kill then meets work, however slow the machine."""
        wanted, deadline = self._states() + CLIENTS, time.monotonic() + PROGRESS_SECONDS_MAX
        while self._states() < wanted and not self.errors:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _states(self) -> int:
        return sum(len(states) for told in self.told for states in list(told.states.values()))

    def are_working(self) -> bool:
        """Say whether any client is still at its last run."""
        return any(thread.is_alive() for thread in self._threads)

    def _work(self, number: int) -> None:
        try:
            with httpx.Client(timeout=20) as http:
                flow = self.ask(http, "POST", "/flows/", {"name": f"load-{number}"}).json()["id"]
                while not self.stop.is_set():
                    self._one_run(http, flow, self.told[number])
        except Exception as error:  # reported by the test
            self.errors.append(repr(error))

    def ask(self, http: httpx.Client, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask until there is an answer. The server may have done what it was asked for and died before it could say so."""
        while True:
            try:
                answer = http.request(method, f"{self.urls[next(self._turn) % len(self.urls)]}{path}", json=body)
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if answer.status_code != 503:
                return answer
            self.busy[answer.headers.get("retry-after")] += 1
            time.sleep(0.02)

    def _one_run(self, http: httpx.Client, flow: str, told: Told) -> None:
        key = str(uuid.uuid4())
        created = self.ask(http, "POST", "/flow_runs/", {"flow_id": flow, "idempotency_key": key, "state": {"type": "PENDING"}})
        assert created.status_code in (200, 201), created.text
        run = created.json()["id"]
        told.states[run] = ["PENDING"]
        asked = {"slots": 1, "names": ["dam"], "lease_duration": 60, "holder": {"type": "flow_run", "id": run}}
        taken = self.ask(http, "POST", "/v2/concurrency_limits/increment-with-lease", asked)
        assert taken.status_code in (200, 423), taken.text
        self._state(http, run, "RUNNING", told)
        now = datetime.now(UTC).isoformat()
        message = str(uuid.uuid4())
        if self.ask(http, "POST", "/logs/", [{"name": "load", "level": 20, "message": message, "timestamp": now, "flow_run_id": run}]).is_success:
            told.logs.add(message)
        event = {"id": str(uuid.uuid4()), "occurred": now, "event": "load.did", "resource": {"prefect.resource.id": f"load.{run}"}}
        if self.ask(http, "POST", "/events", [event]).is_success:
            told.events.add(event["id"])
        task = {"flow_run_id": run, "task_key": "t", "dynamic_key": "0", "state": {"type": "RUNNING"}}
        told.task_runs.add(self.ask(http, "POST", "/task_runs/", task).json()["id"])
        if taken.status_code == 200:
            released = self.ask(http, "POST", "/v2/concurrency_limits/decrement-with-lease", {"lease_id": taken.json()["lease_id"]})
            assert released.status_code == 204, released.text
        self._state(http, run, "COMPLETED", told)

    def _state(self, http: httpx.Client, run: str, kind: str, told: Told) -> None:
        body = {"state": {"type": kind, "state_details": {"transition_id": str(uuid.uuid4())}}}
        answer = self.ask(http, "POST", f"/flow_runs/{run}/set_state", body)
        assert answer.is_success, answer.text
        assert answer.json()["state"]["type"] == kind, answer.text
        told.states[run].append(kind)


def listed(url: str, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = httpx.post(f"{url}{path}", json={**body, "limit": 200, "offset": len(found)}, timeout=30).json()
        found += page
        if len(page) < 200:
            return found


def stored_events(url: str) -> set[str]:
    body: dict[str, Any] = {"filter": {"event": {"name": ["load.did"]}}, "limit": 50}
    page = httpx.post(f"{url}/events/filter", json=body, timeout=30).json()
    found = {event["id"] for event in page["events"]}
    while page["next_page"]:
        page = httpx.get(page["next_page"], timeout=30).json()
        found |= {event["id"] for event in page["events"]}
    return found


def check(url: str, told: list[Told], runs_min: int) -> None:
    """Find everything that was acknowledged, and every run of the load ended."""
    stored = {run["id"]: run for run in listed(url, "/flow_runs/filter", {}) if not run["auto_scheduled"]}
    acknowledged = {run: states for one in told for run, states in one.states.items()}
    assert len(acknowledged) > runs_min
    assert {run: stored.get(run, {}).get("state_type") for run in acknowledged} == {run: states[-1] for run, states in acknowledged.items()}
    assert {run["state_type"] for run in stored.values()} == {"COMPLETED"}  # none is stuck: each client finished its last run
    assert {line for one in told for line in one.logs} <= {line["message"] for line in listed(url, "/logs/filter", {})}
    assert {task for one in told for task in one.task_runs} <= {task["id"] for task in listed(url, "/task_runs/filter", {})}
    assert {event for one in told for event in one.events} <= stored_events(url)
