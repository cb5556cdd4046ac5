"""A server that goes away during a flow costs time, not state: everything is there in the end, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace.client.orchestration import get_client
from headrace.settings import temporary_settings
from headrace.testing.server import free_port
from scenarios.conftest import Scripts

pytestmark = pytest.mark.scenario

TASKS = 200

FLOW = f"""
    import sys
    import time
    from headrace import flow, get_run_logger, task

    @task(task_run_name="number-{{number}}")
    def work(number):
        get_run_logger().info("line %d", number)
        time.sleep(0.01)
        return number

    @flow(flow_run_name="the run")
    def many():
        total = 0
        for number in range({TASKS}):
            total += work(number)
            if number in (40, 120):
                print(number, flush=True)
                sys.stdin.readline()
        return total

    if __name__ == "__main__":
        print("value", many())
"""

PATIENT_FOR_NO_TIME = """
    from headrace.model import clock
    from headrace.testing.clock import ControlledClock
    import many

    with clock.use(ControlledClock()):
        many.many()
"""

SMALL = """
    from headrace import flow

    @flow(flow_run_name="another")
    def small(): ...

    small()
"""


class Server:
    """A server process that can be killed and started again at one address."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._environment = {**os.environ, "HEADRACE_HOME": str(folder)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "headrace", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(command, env=self._environment)
        with get_client(sync_client=True) as client:
            assert client.api_healthcheck() is None

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Generator[Server, None, None]:
    """A running server, which the settings of this process and of its scripts name."""
    made = Server(tmp_path / "server-home")
    with temporary_settings({"HEADRACE_API_URL": made.url, "HEADRACE_CLIENT_MAX_RETRIES": "8"}):
        made.start()
        yield made
        made.kill()


@contextmanager
def running(scripts: Scripts, path: Path, url: str) -> Generator[subprocess.Popen[str], None, None]:
    environment = {**os.environ, "HEADRACE_HOME": str(scripts.home), "HEADRACE_API_URL": url}
    process = subprocess.Popen(
        [sys.executable, "-u", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def at(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def assert_all_is_there() -> None:
    from headrace.client.schemas.filters import FlowRunFilter, LogFilter

    with get_client(sync_client=True) as client:
        [run] = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate({"name": {"any_": ["the run"]}}))
        assert (run.state.name, run.run_count) == ("Completed", 1)
        task_runs = [*client.read_task_runs(limit=150), *client.read_task_runs(limit=150, offset=150)]
        assert {one.name for one in task_runs} == {f"number-{number}" for number in range(TASKS)}
        assert len(task_runs) == TASKS
        assert {one.state_name for one in task_runs} == {"Completed"}
        mine = LogFilter.model_validate({"flow_run_id": {"any_": [run.id]}})
        lines: list[Any] = []
        while page := client.read_logs(mine, limit=200, offset=len(lines)):
            lines += page
        assert sorted(one.message for one in lines if one.message.startswith("line")) == sorted(f"line {number}" for number in range(TASKS))


def test_server_that_comes_back_costs_time_alone(scripts: Scripts, server: Server) -> None:
    with running(scripts, scripts.write("many.py", FLOW), server.url) as process:
        at(process, "40")
        server.kill()
        go_on(process)
        at(process, "120")
        server.start()
        go_on(process)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert out.strip() == f"value {sum(range(TASKS))}"
    assert_all_is_there()


def test_server_that_stays_away_gets_everything_from_the_next_process(scripts: Scripts, server: Server) -> None:
    scripts.write("many.py", FLOW)
    with running(scripts, scripts.write("main.py", PATIENT_FOR_NO_TIME), server.url) as process:
        at(process, "40")
        server.kill()
        go_on(process)
        at(process, "120")
        go_on(process)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert f"The server at {server.url} cannot be reached" in err
    assert f"wait in '{scripts.home / 'spool'}" in err
    server.start()
    ended = scripts.run(scripts.write("small.py", SMALL), HEADRACE_API_URL=server.url)
    assert ended.returncode == 0, ended.stderr
    assert_all_is_there()
    assert not list((scripts.home / "spool").rglob("*.spool"))


def test_records_go_to_the_server_that_they_are_for(scripts: Scripts, server: Server) -> None:
    scripts.write("many.py", FLOW)
    with running(scripts, scripts.write("main.py", PATIENT_FOR_NO_TIME), server.url) as process:
        at(process, "40")
        server.kill()
        go_on(process)
        at(process, "120")
        go_on(process)
        process.communicate(timeout=60)

    ended = scripts.run(scripts.write("small.py", SMALL))

    assert ended.returncode == 0, ended.stderr
    assert len(list((scripts.home / "spool").rglob("*.spool"))) == 1
    with temporary_settings({"HEADRACE_HOME": str(scripts.home)}, restore_defaults=["HEADRACE_API_URL"]), get_client(sync_client=True) as client:
        assert [run.name for run in client.read_flow_runs()] == ["another"]
        assert client.read_task_runs() == []


def test_an_idle_worker_ends_though_its_server_is_away_and_keeps_what_it_had_to_tell(scripts: Scripts, server: Server) -> None:
    environment = {**os.environ, "HEADRACE_HOME": str(scripts.home), "HEADRACE_API_URL": server.url}
    command = [sys.executable, "-u", "-m", "headrace", "worker", "start", "--pool", "p", "--type", "process"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as worker:
        try:
            assert worker.stdout is not None and "started!" in worker.stdout.readline()
            server.kill()
            worker.send_signal(signal.SIGTERM)
            out, err = worker.communicate(timeout=30)
        finally:
            worker.kill()
    assert worker.returncode == 0, err
    assert "stopped!" in out
    assert "for the next process" in err
    assert "asyncio" not in err
    assert list((scripts.home / "spool").rglob("*.spool"))
