"""Server, worker and job services, each real but for the container, which is a process: runs report to the server from within."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID

import pytest

from headrace.client.orchestration import SyncHeadraceClient, get_client
from headrace.client.schemas.actions import WorkPoolCreate
from headrace.client.schemas.objects import FlowRun
from headrace.settings import temporary_settings
from headrace.states import Cancelling
from headrace.testing.end_to_end import ended, in_state, until, worker_processes
from headrace.testing.server import ServerProcess, server_process
from headrace_snowflake.experimental.workers.spcs import SPCSWorker

FLOWS = """\
    import os, time
    from headrace import flow, get_run_logger, task

    @task
    def double(number):
        return 2 * number

    @flow(log_prints=True)
    def counts(top: int = 3):
        get_run_logger().info("counting to %s", top)
        print("WORD is", os.environ.get("WORD"))
        return sum(double.map(range(top)).result())

    @flow
    def dies():
        os._exit(9)

    @flow
    def waits():
        time.sleep(600)
    """


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(environment={"HEADRACE_HOME": str(tmp_path / "server")}) as found:
        with temporary_settings({"HEADRACE_API_URL": found.url}):
            yield found


@pytest.fixture
def client(api: ServerProcess) -> Iterator[SyncHeadraceClient]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture
def deploy(client: SyncHeadraceClient, credentials: Any, tmp_path: Path) -> Callable[..., UUID]:
    """Make a deployment of one of the flows; return its id."""
    (tmp_path / "flows.py").write_text(dedent(FLOWS))
    credentials().save("login")
    client.create_work_pool(
        WorkPoolCreate(name="pool", type="snowpark-container-service", base_job_template=SPCSWorker.get_default_base_job_template())
    )

    def make(name: str, **variables: Any) -> UUID:
        login = {"snowflake_credentials": "{{ headrace.blocks.snowflake-credentials.login }}"}
        given = {**login, "compute_pool": "guide.public.small", "service_watch_poll_interval": 1, **variables}
        options: dict[str, Any] = {"entrypoint": f"flows.py:{name}", "path": str(tmp_path), "job_variables": given}
        return client.create_deployment(client.create_flow_from_name(name), name=f"{name}{len(variables)}", work_pool_name="pool", **options)

    return make


@pytest.fixture
def start_worker(api: ServerProcess, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start workers as processes of their own, which are ended with the test; return when they take runs."""
    with worker_processes(api.url, tmp_path) as start:
        yield start


def is_there(server: Any, run: FlowRun) -> bool:
    return any(job["name"] == run.infrastructure_pid and job["is_there"] for job in server.ask("GET", "/jobs"))


def test_a_run_reports_from_within_and_one_that_dies_is_crashed(server, client, deploy, start_worker, tmp_path):
    deployments = [deploy("counts", env={"WORD": "given"}, stream_output=True), deploy("dies"), deploy("counts", command="sh -c 'echo gone; exit 3'")]
    start_worker("one")
    runs = [client.create_flow_run_from_deployment(one).id for one in deployments]
    counts, dies, exits = [ended(client, run) for run in runs]
    assert counts.state.is_completed(), counts.state
    lines = [log.message for log in client.read_logs()]
    assert "counting to 3" in lines
    assert "WORD is given" in lines
    assert "[job] gone" in lines, "what a job wrote whose flow never began"
    assert len([task for task in client.read_task_runs() if task.flow_run_id == counts.id]) == 3
    assert dies.state.is_crashed() and "status code 9" in dies.state.message
    assert exits.state.is_crashed() and "status code 3" in exits.state.message
    assert counts.infrastructure_pid.startswith("GUIDE.PUBLIC.HEADRACE_")
    until(lambda: not any(is_there(server, run) for run in (counts, dies, exits)))
    assert "WORD is given" in (tmp_path / "one.log").read_text()


def test_a_cancelled_run_and_what_a_killed_worker_left(server, client, deploy, start_worker):
    waits = deploy("waits")
    first = start_worker("first")
    left, cancelled = (client.create_flow_run_from_deployment(waits).id for _ in range(2))
    until(lambda: in_state(client, left, "Running") and in_state(client, cancelled, "Running"))
    first.kill()
    start_worker("second")
    client.set_flow_run_state(cancelled, Cancelling())
    until(lambda: in_state(client, cancelled, "Cancelled"))
    until(lambda: not is_there(server, client.read_flow_run(cancelled)))
    assert is_there(server, client.read_flow_run(left))
    (process,) = [job["pid"] for job in server.ask("GET", "/jobs") if job["name"] == client.read_flow_run(left).infrastructure_pid]
    os.kill(process, 9)
    state = ended(client, left).state
    assert state is not None and state.is_crashed()
    assert "-9" in (state.message or "")
