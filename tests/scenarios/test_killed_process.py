"""A process that is killed loses nothing whose call had returned, and its run is shown as what it is: crashed."""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Callable

import pytest
from tests.scenarios.conftest import Scripts

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
from headrace.model.endpoints.task_runs import FILTER_TASK_RUNS
from headrace.model.run_queries import FlowRunQuery, TaskRunQuery

pytestmark = pytest.mark.scenario

LONG_FLOW = """
    import sys
    from headrace import flow, task

    @task
    def step(number):
        return number

    @flow
    def long_flow():
        for number in range(100_000):
            step(number)
            print(number)  # the call has returned: from here on it must never be lost

    long_flow()
"""

Rows = Callable[[str], list[tuple[object, ...]]]


def _kill_after(process: subprocess.Popen[str], lines: int) -> int:
    """Kill the process when it has printed so many lines; return how many calls had returned by then."""
    assert process.stdout is not None
    seen = 0
    for line in process.stdout:
        seen = int(line) + 1
        if seen == lines:
            process.send_signal(signal.SIGKILL)
            break
    rest = process.stdout.read().splitlines()
    process.wait()
    return int(rest[-1]) + 1 if rest and rest[-1].isdigit() else seen


def _run_of_the_dead() -> tuple[str | None, int, int]:
    """Look, as the next process does: (state of the newest run, its completed task runs, its unfinished task runs)."""
    run = drive(current_client().call(FILTER_FLOW_RUNS, FlowRunQuery.model_validate({"sort": "START_TIME_DESC", "limit": 1})))[0]
    completed = unfinished = offset = 0
    while True:
        query = TaskRunQuery.model_validate({"task_runs": {"flow_run_id": {"any_": [str(run.id)]}}, "limit": 200, "offset": offset})
        page = drive(current_client().call(FILTER_TASK_RUNS, query))
        completed += sum(one.state_type == "COMPLETED" for one in page)
        unfinished += sum(one.end_time is None for one in page)
        offset += len(page)
        if len(page) < 200:
            return run.state_name, completed, unfinished


@pytest.mark.parametrize("kill", range(20))
def test_kill_9_loses_no_task_run_whose_call_had_returned(scripts: Scripts, kill: int) -> None:
    lines = random.Random(kill).randrange(1, 1500)
    process = scripts.start(scripts.write("long_flow.py", LONG_FLOW))

    returned = _kill_after(process, lines)

    state, completed, unfinished = _run_of_the_dead()
    assert state == "Crashed"
    assert completed >= returned
    assert unfinished == 0


def test_the_crashed_run_says_what_happened(scripts: Scripts) -> None:
    process = scripts.start(scripts.write("long_flow.py", LONG_FLOW))
    _kill_after(process, 10)

    run = drive(current_client().call(FILTER_FLOW_RUNS, FlowRunQuery()))[0]

    assert run.state is not None
    assert run.state.message is not None
    assert "ended without reporting" in run.state.message
    assert run.end_time is not None


def test_a_living_process_is_left_alone(scripts: Scripts, rows: Rows) -> None:
    script = scripts.write(
        "waiting.py",
        """
        import sys
        from headrace import flow

        @flow
        def waiting():
            print("started")
            sys.stdin.readline()

        waiting()
        """,
    )
    living = _start_with_input(scripts, script)
    assert living.stdout is not None
    assert living.stdin is not None
    living.stdout.readline()

    seen_by_another = drive(current_client().call(FILTER_FLOW_RUNS, FlowRunQuery()))[0].state_name
    living.stdin.write("\n")
    living.stdin.close()
    living.wait()

    assert seen_by_another == "Running"
    assert rows("SELECT state_name FROM flow_run") == [("Completed",)]


def _start_with_input(scripts: Scripts, script: object) -> subprocess.Popen[str]:
    import os
    import sys

    return subprocess.Popen(
        [sys.executable, "-u", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HEADRACE_HOME": str(scripts.home)},
    )


def test_a_run_again_does_not_repeat_finished_work(scripts: Scripts) -> None:
    script = scripts.write(
        "resumable.py",
        """
        import os
        from pathlib import Path
        from headrace import flow, task
        from headrace.cache_policies import INPUTS

        done = Path(os.environ["WORK_DONE"])

        @task(persist_result=True, cache_policy=INPUTS)
        def work(number):
            with done.open("a") as file:
                file.write(f"{number}\\n")
            return number

        @flow
        def resumable():
            for number in range(40):
                work(number)
                if number == 25 and os.environ.get("DIE"):
                    os.kill(os.getpid(), 9)
            return "all"

        print(resumable())
        """,
    )
    done = str(scripts.folder / "done.txt")

    first = scripts.run(script, WORK_DONE=done, DIE="1")
    second = scripts.run(script, WORK_DONE=done)

    assert first.returncode == -signal.SIGKILL
    assert second.stdout.strip() == "all"
    lines = (scripts.folder / "done.txt").read_text().split()
    assert lines == [str(number) for number in range(40)]
