"""A schedule of every second goes on while a worker and the server are killed: each time runs once, and what waits is Late, with its reason."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from headrace.client.orchestration import HeadraceClient, get_client
from headrace.client.schemas.filters import FlowRunFilter
from headrace.client.schemas.sorting import FlowRunSort
from headrace.model import clock
from headrace.model.flow_runs import FlowRun
from headrace.model.schedules import DeploymentScheduleCreate, IntervalSchedule
from headrace.settings import temporary_settings
from headrace.testing.server import ServerProcess, free_port, server_process
from scenarios.workers import POOL, all_ended, deploy, start_worker, until

pytestmark = pytest.mark.scenario

SECONDS = float(os.environ.get("SCHEDULE_SECONDS", "20"))
"""How long the schedule is followed. A worker dies after a quarter of it, the server after the half."""
SERVER_AWAY_SECONDS = 2.0
LATE_AFTER_SECONDS = 3
QUICK = {
    "HEADRACE_SERVER_SERVICES_ZOMBIE_DETECTION_TIMEOUT_SECONDS": "12",
    "HEADRACE_SERVER_SERVICES_ZOMBIE_DETECTION_LOOP_SECONDS": "1",
    "HEADRACE_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "0.5",
    "HEADRACE_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": f"PT{LATE_AFTER_SECONDS}S",
    "HEADRACE_WORKER_QUERY_SECONDS": "2",
    "HEADRACE_WORKER_HEARTBEAT_SECONDS": "2",
}
EVERY = timedelta(seconds=1)
FLOW = """
import os
from headrace import flow
from headrace.runtime import flow_run

@flow
def timed():
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{flow_run.id} {flow_run.scheduled_start_time.timestamp()}\\n")
"""


@pytest.mark.timeout(2 * SECONDS + 100)
def test_each_scheduled_time_runs_once_though_a_worker_and_the_server_are_killed(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "timed.py").write_text(FLOW)
    notes = tmp_path / "notes"
    notes.touch()
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    for name, value in {**QUICK, "NOTES": str(notes), "HEADRACE_API_URL": url}.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as held, temporary_settings({"HEADRACE_API_URL": url}):
        first, last, runs, late = asyncio.run(_followed(held, port, tmp_path))
    wanted = [first + number * EVERY for number in range(int((last - first) / EVERY) + 1)]
    assert [run.expected_start_time for run in runs] == wanted
    assert {run.state_name for run in runs} == {"Completed"}
    ran = Counter(tuple(line.split()) for line in notes.read_text().splitlines())
    assert set(ran.values()) == {1}
    assert {(str(run.id), str(time.timestamp())) for run, time in zip(runs, wanted, strict=True)} <= ran.keys()  # some that came later ran too
    assert not {str(id) for id in late} & {id for id, _ in ran}


async def _followed(held: ExitStack, port: int, folder: Path) -> tuple[datetime, datetime, list[FlowRun], list[UUID]]:
    """Return the first and the last scheduled time that was followed, the runs of that time, and those that were Late after it."""
    server = held.enter_context(server_process(port=port))
    async with get_client() as client:
        workers = {name: await start_worker(name) for name in ("steady", "victim")}
        for worker in workers.values():
            held.callback(worker.kill)
        schedule = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=EVERY))
        deployment = await deploy(client, folder, "timed.py:timed", schedules=[schedule])
        await _killed_meanwhile(held, server, port, workers["victim"])
        last = clock.now()
        due = await _runs_until(client, deployment, last)
        last = due[-1].expected_start_time
        assert last is not None
        ended = await all_ended(client, [run.id for run in due])
        workers["steady"].kill()
        late = await until(lambda: _late(client, deployment))
        await _told_why(late[0])
        first = ended[0].expected_start_time
        assert first is not None
        _tell(ended)
        return first, last, ended, late


async def _killed_meanwhile(held: ExitStack, server: ServerProcess, port: int, victim: subprocess.Popen[bytes]) -> None:
    await asyncio.sleep(SECONDS / 4)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    await asyncio.sleep(SECONDS / 4)
    server.stop(signal.SIGKILL)
    await asyncio.sleep(SERVER_AWAY_SECONDS)
    held.enter_context(server_process(port=port))
    await asyncio.sleep(SECONDS / 2)


async def _runs_until(client: HeadraceClient, deployment: UUID, last: datetime) -> list[FlowRun]:
    wanted = FlowRunFilter.model_validate({"deployment_id": {"any_": [deployment]}, "expected_start_time": {"before_": last}})
    found: list[FlowRun] = []
    while page := await client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=100, offset=len(found)):
        found += page
    return found


async def _late(client: HeadraceClient, deployment: UUID) -> list[UUID]:
    wanted = FlowRunFilter.model_validate({"deployment_id": {"any_": [deployment]}, "state": {"name": {"any_": ["Late"]}}})
    return [run.id for run in await client.read_flow_runs(flow_run_filter=wanted)]


async def _told_why(run: UUID) -> None:
    """Wait until the reason is given that no worker is online, whose death the server hears by its silence."""

    async def asked() -> bool:
        command = [sys.executable, "-m", "headrace", "why", str(run), "--output", "json"]
        process = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
        told = json.loads(process.stdout)
        print(told["summary"])
        return f"headrace worker start --pool {POOL}" in process.stdout

    await until(asked)


def _tell(runs: list[FlowRun]) -> None:
    """Print how late the runs began, for whoever looks at it."""
    waits = sorted((run.start_time - run.expected_start_time).total_seconds() for run in runs if run.start_time and run.expected_start_time)
    print(len(runs), "runs; began after, at the median and at most:", waits[len(waits) // 2], waits[-1])
