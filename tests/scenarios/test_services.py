"""Services in a process of their own: killed and started again, and beside processes that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from tests.scenarios.conftest import Scripts

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model import clock
from headrace.model.endpoints import flow_runs, flows
from headrace.model.flow_runs import FlowRunCreate
from headrace.model.flows import FlowCreate
from headrace.model.states import StateCreate, StateDetails, StateType

pytestmark = pytest.mark.scenario

WAIT_SECONDS = 30.0

Services = Callable[[], subprocess.Popen[str]]


@pytest.fixture
def services(home: Path) -> Generator[Services, None, None]:
    """Start services as a process, and wait until they run."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-m", "headrace", "server", "services", "start"]
        quick = {f"HEADRACE_SERVER_SERVICES_{name}_LOOP_SECONDS": "0.1" for name in ("LATE_RUNS", "ZOMBIE_DETECTION")}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "HEADRACE_HOME": str(home), **quick})
        started.append(process)
        assert process.stdout is not None and process.stdout.readline().startswith("Running ")
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def settled(rows: Callable[[str], list[tuple[object, ...]]], sql: str, wanted: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return what a query finds once it finds what is wanted, or when that takes too long."""
    deadline = clock.monotonic() + WAIT_SECONDS
    while (found := rows(sql)) != wanted and clock.monotonic() < deadline:
        clock.sleep(0.05)
    return found


def overdue_run() -> None:
    client = current_client()
    flow = drive(client.call(flows.CREATE_FLOW, FlowCreate(name="f")))
    state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=clock.from_us(0)))
    drive(client.call(flow_runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=flow.id, state=state)))


def test_killed_services_go_on_where_they_were(services: Services, rows: Callable[[str], list[tuple[object, ...]]]) -> None:
    late = "SELECT COUNT(*) FROM flow_run WHERE state_name = 'Late'"
    for count in (1, 2, 3):
        overdue_run()
        process = services()
        assert settled(rows, late, [(count,)]) == [(count,)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    states = "SELECT COUNT(*) FROM flow_run_state WHERE name = 'Late'"
    assert rows(states) == [(3,)]  # none was marked twice


def test_services_find_the_run_of_a_killed_process(services: Services, scripts: Scripts, rows: Callable[[str], list[tuple[object, ...]]]) -> None:
    script = scripts.write(
        "sleeper.py",
        """
        import sys, time
        from headrace import flow

        @flow
        def sleeper():
            print("inside")
            time.sleep(600)

        sleeper()
        """,
    )
    services()
    process = scripts.start(script)
    assert process.stdout is not None and process.stdout.readline() == "inside\n"
    process.kill()
    process.wait()
    assert settled(rows, "SELECT state_name FROM flow_run", [("Crashed",)]) == [("Crashed",)]
    assert rows("SELECT event FROM events WHERE event LIKE 'prefect.flow-run.C%'") == [("prefect.flow-run.Crashed",)]
