"""A task worker that is killed loses no run: another one runs what it had and what waited."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from headrace.testing.server import server_process
from scenarios.conftest import Scripts

pytestmark = pytest.mark.scenario

RUNS = 20
TASKS = """
    import os, time
    from pathlib import Path
    from headrace import task
    from headrace.cache_policies import NO_CACHE

    @task(cache_policy=NO_CACHE)
    def work(number, folder):
        Path(folder, f"{number}-{os.getpid()}").touch()
        while Path(folder, "hold").exists():
            time.sleep(0.02)
        return number
"""
WORKER = """
    from background import work
    from headrace.task_worker import serve

    serve(work, limit=4)
"""
SUBMITTER = """
    import sys
    from background import work

    futures = [work.delay(number, sys.argv[1]) for number in range(20)]
    print("submitted", flush=True)
    assert [future.result(timeout=90) for future in futures] == list(range(20))
    print("|".join(sorted({future.state.name for future in futures})))
"""


def test_runs_of_a_killed_worker_are_completed_by_another(scripts: Scripts, tmp_path: Path) -> None:
    scripts.write("background.py", TASKS)
    worker, submitter = scripts.write("worker.py", WORKER), scripts.write("submitter.py", SUBMITTER)
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "hold").touch()
    with server_process() as server:
        variables = {"HEADRACE_API_URL": server.url}
        submitting = scripts.start(submitter, str(begun), **variables)
        first = scripts.start(worker, **variables)
        deadline = time.monotonic() + 60
        while len(list(begun.glob("*-*"))) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.kill()
        first.wait()
        (begun / "hold").unlink()
        second = scripts.start(worker, **variables)
        out, err = submitting.communicate(timeout=120)
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0
    assert out.splitlines() == ["submitted", "Completed"], err
    ran = [path.name.split("-") for path in begun.glob("*-*")]
    assert sorted(int(number) for number, process in ran if process == str(second.pid)) == list(range(RUNS))
    assert len([1 for _, process in ran if process == str(first.pid)]) == 4
