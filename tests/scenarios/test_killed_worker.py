"""Two workers serve one pool, and one of them is killed again and again: every run ran once and is completed; none is lost."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from headrace.client.orchestration import HeadraceClient, get_client
from headrace.model.work_pools import WorkPoolCreate
from headrace.settings import temporary_settings
from headrace.testing.server import server_process
from headrace.workers import ProcessWorker

pytestmark = pytest.mark.scenario

RUNS = 50
KILLS = 5
LIMIT = 4
"""Runs of a worker at once: as many may be about to start, or running, when it is killed."""
SECONDS_MAX = 150
QUICK = {
    "HEADRACE_SERVER_SERVICES_ZOMBIE_DETECTION_TIMEOUT_SECONDS": "12",
    "HEADRACE_SERVER_SERVICES_ZOMBIE_DETECTION_LOOP_SECONDS": "1",
    "HEADRACE_WORKER_QUERY_SECONDS": "2",
}
FLOW = """
import os, time
from headrace import flow
from headrace.runtime import flow_run

@flow
def noted():
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{flow_run.id}\\n")
    time.sleep(0.2)
"""


async def _worker(name: str) -> subprocess.Popen[bytes]:
    """Start a worker and return when it takes runs."""
    command = [sys.executable, "-m", "headrace", "worker", "start", "--pool", "pool", "--name", name, "--limit", str(LIMIT)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert b"started" in await asyncio.to_thread(process.stdout.readline)
    return process


def test_a_killed_worker_neither_loses_nor_doubles_a_run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "noted.py").write_text(FLOW)
    notes = tmp_path / "notes"
    notes.touch()
    monkeypatch.setenv("NOTES", str(notes))
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    with server_process() as server, ExitStack() as held:
        monkeypatch.setenv("HEADRACE_API_URL", server.url)
        with temporary_settings({"HEADRACE_API_URL": server.url}):
            states, handed_back = asyncio.run(asyncio.wait_for(_killed_again_and_again(held, tmp_path), SECONDS_MAX))
    ran = Counter(notes.read_text().split())
    print("handed back:", handed_back)  # how often it happened
    assert ran == dict.fromkeys(states, 1)
    assert set(states.values()) == {"COMPLETED"}, states


async def _killed_again_and_again(held: ExitStack, folder: Path) -> tuple[dict[str, str], int]:
    chance = random.Random(20)
    async with get_client() as client:
        deployment = await _deployed(client, folder)
        steady = await _worker("steady")
        held.callback(steady.kill)
        made: list[Any] = []
        for _ in range(KILLS):
            victim = await _worker("victim")
            held.callback(victim.kill)
            made += [await client.create_flow_run_from_deployment(deployment) for _ in range(RUNS // KILLS)]
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        while True:
            runs = [await client.read_flow_run(run.id) for run in made]
            if all(run.state is not None and run.state.is_final() for run in runs):
                break
            await asyncio.sleep(0.5)
        states = {str(run.id): str(run.state_type and run.state_type.value) for run in runs}
        print(Counter(run.state.message for run in runs if run.state is not None))  # why those crashed that did
        histories = [await client.read_flow_run_states(run.id) for run in made]
        steady.send_signal(signal.SIGTERM)
        assert steady.wait(30) == 0
        return states, sum(sum(state.is_scheduled() for state in history) > 1 for history in histories)


async def _deployed(client: HeadraceClient, folder: Path) -> Any:
    template = ProcessWorker.get_default_base_job_template()
    await client.create_work_pool(WorkPoolCreate(name="pool", type="process", base_job_template=template))
    flow = await client.create_flow_from_name("noted")
    return await client.create_deployment(flow_id=flow, name="d", work_pool_name="pool", entrypoint="noted.py:noted", path=str(folder))
