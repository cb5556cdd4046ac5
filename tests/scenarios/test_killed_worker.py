"""Two workers serve one pool, and one of them is killed again and again: every run ran once and is completed; none is lost."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from headrace.client.orchestration import get_client
from headrace.settings import temporary_settings
from headrace.testing.server import server_process
from scenarios.workers import all_ended, deploy, start_worker

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
        deployment = await deploy(client, folder, "noted.py:noted")
        steady = await start_worker("steady", "--limit", str(LIMIT))
        held.callback(steady.kill)
        made: list[Any] = []
        for _ in range(KILLS):
            victim = await start_worker("victim", "--limit", str(LIMIT))
            held.callback(victim.kill)
            made += [await client.create_flow_run_from_deployment(deployment) for _ in range(RUNS // KILLS)]
            await asyncio.sleep(chance.uniform(0.0, 1.2))
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        runs = await all_ended(client, [run.id for run in made])
        states = {str(run.id): str(run.state_type and run.state_type.value) for run in runs}
        print(Counter(run.state.message for run in runs if run.state is not None))  # why those crashed that did
        histories = [await client.read_flow_run_states(run.id) for run in made]
        steady.send_signal(signal.SIGTERM)
        assert steady.wait(30) == 0
        return states, sum(sum(state.is_scheduled() for state in history) > 1 for history in histories)
