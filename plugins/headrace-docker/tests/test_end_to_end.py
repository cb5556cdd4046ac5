"""Server, worker and containers, each real: runs report to the server from within, and what becomes of a container becomes of its run."""

from __future__ import annotations

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
from headrace.testing.containers import DockerEngine
from headrace.testing.end_to_end import ended, in_state, until, worker_processes
from headrace.testing.server import ServerProcess, server_process
from headrace_docker import DockerHost, DockerWorker

FLOWS = """\
    import os, socket, time
    from headrace import flow, get_run_logger, task

    @task
    def double(number):
        return 2 * number

    @flow(log_prints=True)
    def counts(top: int = 3):
        get_run_logger().info("process %s counts", os.getpid())
        print("WORD is", os.environ.get("WORD"))
        return sum(double.map(range(top)).result())

    @flow
    def fails():
        raise ValueError("wrong on purpose")

    @flow
    def dies():
        os._exit(9)

    @flow
    def waits():
        time.sleep(600)

    @flow
    def naps():
        time.sleep(3)
    """


@pytest.fixture
def server(engine: DockerEngine, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(environment={"HEADRACE_HOME": str(tmp_path / "server")}) as found:
        with temporary_settings({"HEADRACE_API_URL": found.url}):
            yield found


@pytest.fixture
def client(server: ServerProcess) -> Iterator[SyncHeadraceClient]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture
def deploy(client: SyncHeadraceClient, engine: DockerEngine, tmp_path: Path) -> Callable[..., UUID]:
    """Make a deployment of one of the flows; the flows' file and this interpreter are mounted into the containers. Return its id."""
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "flows.py").write_text(dedent(FLOWS))
    image = engine.python_image()
    volumes = [f"{folder}:{folder}:ro", *image.volumes]
    client.create_work_pool(WorkPoolCreate(name="pool", type="docker", base_job_template=DockerWorker.get_default_base_job_template()))

    def make(name: str, **variables: Any) -> UUID:
        variables = {"image": image.reference, "image_pull_policy": "Never", "volumes": volumes, **variables}
        options: dict[str, Any] = {"entrypoint": f"flows.py:{name}", "path": str(folder), "job_variables": variables}
        called = variables["command"].replace("/", "") if "command" in variables else name
        return client.create_deployment(client.create_flow_from_name(name), name=called, work_pool_name="pool", **options)

    return make


@pytest.fixture
def start_worker(server: ServerProcess, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start workers as processes of their own, which are ended with the test; return when they take runs."""
    with worker_processes(server.url, tmp_path) as start:
        yield start


def id_of(run: FlowRun) -> str:
    return str(run.infrastructure_pid).rpartition(":")[2]


def container_of(run: FlowRun) -> Any:
    with DockerHost().get_client() as docker:
        return docker.containers.get(id_of(run))


def test_a_run_in_a_container_reports_its_states_tasks_and_logs(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any], tmp_path: Path
) -> None:
    deployment = deploy("counts", env={"WORD": "given"})
    start_worker("one")
    run = client.create_flow_run_from_deployment(deployment, parameters={"top": 4}).id
    found = ended(client, run)
    assert found.state is not None and found.state.is_completed(), found.state
    lines = [log.message for log in client.read_logs()]
    assert "process 1 counts" in lines
    assert "WORD is given" in lines
    assert len([task for task in client.read_task_runs() if task.flow_run_id == run]) == 4
    container = container_of(found)
    assert container.labels["prefect.io/flow-run-id"] == str(run)
    until(lambda: "WORD is given" in (tmp_path / "one.log").read_text())  # the container's output on the worker's own


def test_a_flow_that_fails_is_failed_and_a_container_that_dies_is_crashed(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any]
) -> None:
    deployments = [deploy("fails"), deploy("dies"), deploy("counts", command="sh -c 'exit 3'"), deploy("counts", command="no-such-program")]
    start_worker("one")
    fails, dies, exits, missing = [ended(client, client.create_flow_run_from_deployment(one).id).state for one in deployments]
    assert fails is not None and fails.is_failed() and "wrong on purpose" in (fails.message or "")
    assert dies is not None and dies.is_crashed() and "status code 9" in (dies.message or "")
    assert exits is not None and exits.is_crashed() and "status code 3" in (exits.message or "")
    assert missing is not None and missing.is_crashed() and '"no-such-program": executable file not found' in (missing.message or "")


def test_a_cancelled_run_has_its_container_stopped(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any]
) -> None:
    deployment = deploy("waits")
    start_worker("one")
    run = client.create_flow_run_from_deployment(deployment).id
    until(lambda: in_state(client, run, "Running"))
    client.set_flow_run_state(run, Cancelling())
    found = ended(client, run)
    assert found.state is not None and found.state.is_cancelled()
    until(lambda: container_of(found).status == "exited")


def test_the_next_worker_watches_and_cancels_what_a_killed_one_started(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any]
) -> None:
    waits = deploy("waits")
    first = start_worker("first")
    left, cancelled = (client.create_flow_run_from_deployment(waits).id for _ in range(2))
    until(lambda: in_state(client, left, "Running") and in_state(client, cancelled, "Running"))
    alone = client.create_flow_run_from_deployment(deploy("naps", auto_remove=True)).id
    until(lambda: in_state(client, alone, "Running"))
    first.kill()
    done = ended(client, alone)
    assert done.state is not None and done.state.is_completed()
    assert container_of(done)
    start_worker("second")
    client.set_flow_run_state(cancelled, Cancelling())
    until(lambda: in_state(client, cancelled, "Cancelled"))
    container_of(client.read_flow_run(left)).kill()
    state = ended(client, left).state
    assert state is not None and state.is_crashed()
    assert "137" in (state.message or "")
    with DockerHost().get_client() as docker:  # what ended while nobody watched is cleared away too
        until(lambda: not docker.containers.list(all=True, filters={"id": id_of(done)}))
