"""A server that is killed under load keeps every write that it acknowledged, leaves no run stuck and leaks no slot."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from headrace.testing.server import ServerProcess, server_process
from scenarios.server_load import SLOTS, Load, check

pytestmark = pytest.mark.scenario

KILLS = 20


@pytest.mark.timeout(280)
def test_a_server_killed_at_twenty_points_keeps_what_it_acknowledged(home: Path) -> None:
    load = Load()
    chance = random.Random(3)
    with ExitStack() as servers:

        def start() -> ServerProcess:
            process = servers.enter_context(server_process())
            load.urls = [process.url]
            return process

        process = start()
        assert httpx.post(f"{load.urls[0]}/v2/concurrency_limits/", json={"name": "dam", "limit": SLOTS}).status_code == 201
        with load.running():
            for _ in range(KILLS):
                load.wait_for_progress()
                time.sleep(chance.uniform(0, 0.6))
                process.stop(signal.SIGKILL)
                process = start()
            time.sleep(0.5)
        assert load.errors == []
        check(load.urls[0], load.told, KILLS)
        taken = httpx.get(f"{load.urls[0]}/v2/concurrency_limits/dam").json()["active_slots"]
        with sqlite3.connect(home / "headrace.db") as database:
            # A slot is held by a living lease or by nobody. A lease whose grant was lost with the answer ends by itself.
            [held] = database.execute("SELECT COUNT(*) FROM concurrency_lease WHERE expires > ?", (time.time() * 1_000_000,)).fetchone()
        assert taken == held <= SLOTS
