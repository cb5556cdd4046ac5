"""Several processes share one embedded database without losing anything or getting in each other's way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.scenarios.conftest import Scripts

pytestmark = pytest.mark.scenario

PROCESSES = 8
SECONDS = 30

WRITER = """
    import sys, time
    from headrace import flow, task

    @task
    def step(number):
        return number

    @flow
    def child(number):
        step(number)

    @flow
    def writer(seconds):
        until = time.monotonic() + seconds
        count = 0
        while time.monotonic() < until:
            for _ in range(20):
                step(count)
            child(count)
            count += 1
        return count

    print(writer(float(sys.argv[1])))
"""


def test_eight_processes_lose_nothing_and_never_see_a_locked_database(scripts: Scripts, rows: Callable[[str], list[tuple[object, ...]]]) -> None:
    script = scripts.write("writer.py", WRITER)
    processes = [scripts.start(script, str(SECONDS)) for _ in range(PROCESSES)]

    ended = [process.communicate(timeout=SECONDS + 120) for process in processes]

    errors = "".join(err for _, err in ended)
    assert [process.returncode for process in processes] == [0] * PROCESSES, errors
    assert "locked" not in errors
    rounds = sum(int(out) for out, _ in ended)
    assert rounds > PROCESSES
    assert rows("SELECT count(*) FROM flow_run WHERE state_type = 'COMPLETED'") == [(rounds + PROCESSES,)]
    steps = 20 * rounds + rounds  # in the flows and in the subflows
    assert rows("SELECT count(*) FROM task_run WHERE task_key LIKE 'step%' AND state_type = 'COMPLETED'") == [(steps,)]
    assert rows("SELECT count(*) FROM task_run WHERE state_type != 'COMPLETED'") == [(0,)]
