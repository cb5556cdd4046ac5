"""Server, worker and containers, each real: Google's APIs are fakes held to its documents, and their jobs run on a Docker engine.

Runs report to the server from within, and what becomes of a container becomes of its run.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID

import pytest

from headrace.client.orchestration import SyncHeadraceClient, get_client
from headrace.client.schemas.actions import WorkPoolCreate
from headrace.settings import temporary_settings
from headrace.states import Cancelling
from headrace.testing.containers import DockerEngine, PythonImage
from headrace.testing.end_to_end import ended, in_state, worker_processes
from headrace.testing.server import server_process
from headrace_gcp.workers.cloud_run import CloudRunWorker
from headrace_gcp.workers.cloud_run_v2 import CloudRunWorkerV2
from headrace_gcp.workers.vertex import VertexAIWorker

from .cloud_run_server import CloudRunV1, CloudRunV2, Container, Machines, wait_until
from .google_apis import serving
from .vertex_server import VertexAI

SECONDS_MAX = 90.0
FLOWS = """\
    import os, time
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
    def dies():
        os._exit(9)

    @flow
    def waits():
        time.sleep(600)
    """
KINDS: dict[str, Any] = {
    "cloud-run-v2": (CloudRunWorkerV2, CloudRunV2, "run", {}),
    "cloud-run": (CloudRunWorker, CloudRunV1, "run", {}),
    "vertex-ai": (VertexAIWorker, VertexAI, "aiplatform", {"region": "europe-west1", "job_watch_poll_interval": 0.1}),
}

StartWorker = Callable[[str], "subprocess.Popen[bytes]"]


class World:
    """Everything that a run needs: a server, one of Google's services with an engine behind it, a pool, and workers."""

    def __init__(self, kind: str, api: Any, start_worker: StartWorker, client: SyncHeadraceClient, folder: Path, image: str, variables: Any) -> None:
        self.kind, self.api, self.start_worker, self.client, self._folder = kind, api, start_worker, client, folder
        self._variables = {"image": image, **variables}

    def deploy(self, name: str, **variables: Any) -> UUID:
        options: dict[str, Any] = {"entrypoint": f"flows.py:{name}", "path": str(self._folder), "job_variables": {**self._variables, **variables}}
        return self.client.create_deployment(self.client.create_flow_from_name(name), name=name, work_pool_name="pool", **options)

    def start(self, deployment: UUID, **parameters: Any) -> UUID:
        return self.client.create_flow_run_from_deployment(deployment, parameters=parameters).id


@contextmanager
def world(kind: str, docker: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    worker_class, api_class, name, variables = KINDS[kind]
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "flows.py").write_text(dedent(FLOWS))
    image = docker.python_image()
    seen = PythonImage(image.reference, (f"{folder}:{folder}:ro", *image.volumes))
    with (
        serving(api_class(machines=Machines(docker, seen))) as api,
        server_process(environment={"HEADRACE_HOME": str(tmp_path / "server")}) as server,
    ):
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", json.dumps({name: api.url}))
        with (
            temporary_settings({"HEADRACE_API_URL": server.url}),
            get_client(sync_client=True) as client,
            worker_processes(server.url, tmp_path) as start_worker,
        ):
            client.create_work_pool(WorkPoolCreate(name="pool", type=kind, base_job_template=worker_class.get_default_base_job_template()))
            try:
                yield World(kind, api, start_worker, client, folder, image.reference, variables)
            finally:
                api.stop_all()


@pytest.fixture
def google(
    request: pytest.FixtureRequest, gcp: None, docker_engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    with world(getattr(request, "param", "cloud-run-v2"), docker_engine, tmp_path, monkeypatch) as found:
        yield found


@pytest.mark.parametrize("google", list(KINDS), indirect=True)
def test_runs_report_from_within_and_exit_codes_become_states(google: World):
    counts, dies = google.deploy("counts", env={"WORD": "given"}), google.deploy("dies")
    google.start_worker("one")
    well, badly = google.start(counts, top=4), google.start(dies)
    found = ended(google.client, well)
    assert found.state is not None and found.state.is_completed(), found.state
    lines = [log.message for log in google.client.read_logs()]
    assert "process 1 counts" in lines
    assert "WORD is given" in lines
    assert len([task for task in google.client.read_task_runs() if task.flow_run_id == well]) == 4
    state = ended(google.client, badly).state
    assert state is not None and state.is_crashed() and "status code 9" in (state.message or ""), state
    if google.kind != "vertex-ai":
        wait_until(lambda: not google.api.jobs)  # nothing is left of jobs that have ended


def test_a_cancelled_run_has_its_container_stopped(google: World):
    deployment = google.deploy("waits", keep_job=True)
    google.start_worker("one")
    run = google.start(deployment)
    wait_until(lambda: in_state(google.client, run, "Running"), SECONDS_MAX)
    google.client.set_flow_run_state(run, Cancelling())
    found = ended(google.client, run)
    assert found.state is not None and found.state.is_cancelled()
    execution = google.api.jobs[str(found.infrastructure_pid)].executions[-1]
    assert isinstance(execution.process, Container)
    assert wait_until(execution.process.exit_code) in (137, 143)


def test_the_next_worker_watches_and_cancels_what_a_killed_one_started(google: World):
    waits = google.deploy("waits")
    first = google.start_worker("first")
    left, cancelled = google.start(waits), google.start(waits)
    wait_until(lambda: in_state(google.client, left, "Running") and in_state(google.client, cancelled, "Running"), SECONDS_MAX)
    first.kill()
    google.start_worker("second")
    google.client.set_flow_run_state(cancelled, Cancelling())
    wait_until(lambda: in_state(google.client, cancelled, "Cancelled"), SECONDS_MAX)
    job = google.api.jobs[str(google.client.read_flow_run(left).infrastructure_pid)]
    job.executions[-1].process.stop()
    state = ended(google.client, left).state
    assert state is not None and state.is_crashed(), state
    wait_until(lambda: not google.api.jobs)
    assert len(google.api.started) == 2
