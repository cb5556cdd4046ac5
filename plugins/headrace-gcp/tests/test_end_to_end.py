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
from uuid import UUID, uuid4

import pytest

from headrace.client.orchestration import SyncHeadraceClient, get_client
from headrace.client.schemas.actions import WorkPoolCreate
from headrace.settings import temporary_settings
from headrace.states import Cancelling
from headrace.testing.containers import DockerEngine, PythonImage
from headrace.testing.end_to_end import ended, in_state, worker_processes
from headrace.testing.server import server_process
from headrace_gcp import GcpCredentials, GcsBucket
from headrace_gcp.workers.cloud_run import CloudRunWorker
from headrace_gcp.workers.cloud_run_v2 import CloudRunWorkerV2
from headrace_gcp.workers.vertex import VertexAIWorker

from .cloud_run_server import CloudRunV1, CloudRunV2, Container, Machines, wait_until
from .google_apis import serving
from .processes import python
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
BOUND = """\
    import os, sys
    from pathlib import Path
    from headrace import flow
    from headrace_gcp import GcpCredentials
    from headrace_gcp.decorators import cloud_run

    @cloud_run(
        work_pool="pool",
        include_files=["words.txt"],
        launcher={"upload": [sys.executable], "execution": ["python"]},
        image=os.environ["IMAGE"],
        credentials=GcpCredentials.load("login"),
        env={"HEADRACE_INTEGRATIONS_GCP_ENDPOINTS": os.environ["HEADRACE_INTEGRATIONS_GCP_ENDPOINTS"]},
    )
    @flow(persist_result=True)
    def reads(times: int):
        return Path("words.txt").read_text() * times
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
        self.image = image
        self._variables = {"image": image, "credentials": "{{ headrace.blocks.gcp-credentials.login }}", **variables}

    def deploy(self, name: str, **variables: Any) -> UUID:
        options: dict[str, Any] = {"entrypoint": f"flows.py:{name}", "path": str(self._folder), "job_variables": {**self._variables, **variables}}
        return self.client.create_deployment(self.client.create_flow_from_name(name), name=name, work_pool_name="pool", **options)

    def start(self, deployment: UUID, **parameters: Any) -> UUID:
        return self.client.create_flow_run_from_deployment(deployment, parameters=parameters).id

    def container(self, run: UUID) -> Container:
        """Return the container of a run, by what the worker has noted of its job."""
        name = str(self.client.read_flow_run(run).infrastructure_pid)
        jobs = self.api.jobs
        found = self.api.known(name).executions[-1] if isinstance(jobs, dict) else next(job for job in jobs if job.name == name)
        assert isinstance(found.process, Container)
        return found.process


@contextmanager
def world(kind: str, info: dict[str, Any], docker: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
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
            GcpCredentials(service_account_info=info).save("login")
            client.create_work_pool(WorkPoolCreate(name="pool", type=kind, base_job_template=worker_class.get_default_base_job_template()))
            try:
                yield World(kind, api, start_worker, client, folder, image.reference, variables)
            finally:
                api.stop_all()


@pytest.fixture
def google(
    request: pytest.FixtureRequest, info: dict[str, Any], docker_engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_CLOUD_RUN_V2_WORKER_POLL_SECONDS", "0.05")
    with world(getattr(request, "param", "cloud-run-v2"), info, docker_engine, tmp_path, monkeypatch) as found:
        yield found


@pytest.mark.parametrize("google", list(KINDS), indirect=True)
def test_runs_report_from_within_and_what_becomes_of_containers_becomes_of_runs(google: World):
    counts, dies, waits = google.deploy("counts", env={"WORD": "given"}), google.deploy("dies"), google.deploy("waits", keep_job=True)
    google.start_worker("one")
    well, badly, cancelled = google.start(counts, top=4), google.start(dies), google.start(waits)
    found = ended(google.client, well)
    assert found.state is not None and found.state.is_completed(), found.state
    lines = [log.message for log in google.client.read_logs()]
    assert "process 1 counts" in lines
    assert "WORD is given" in lines
    assert len([task for task in google.client.read_task_runs() if task.flow_run_id == well]) == 4
    state = ended(google.client, badly).state
    assert state is not None and state.is_crashed() and "status code 9" in (state.message or ""), state

    wait_until(lambda: in_state(google.client, cancelled, "Running"), SECONDS_MAX)
    container = google.container(cancelled)
    google.client.set_flow_run_state(cancelled, Cancelling())
    state = ended(google.client, cancelled).state
    assert state is not None and state.is_cancelled()
    assert wait_until(container.exit_code) in (137, 143)
    if google.kind != "vertex-ai":
        wait_until(lambda: len(google.api.jobs) == 1)  # the one that is kept: nothing is left of jobs that have ended


def test_the_next_worker_watches_and_cancels_what_a_killed_one_started(google: World):
    waits = google.deploy("waits")
    first = google.start_worker("first")
    left, cancelled = google.start(waits), google.start(waits)
    wait_until(lambda: in_state(google.client, left, "Running") and in_state(google.client, cancelled, "Running"), SECONDS_MAX)
    first.kill()
    google.start_worker("second")
    google.client.set_flow_run_state(cancelled, Cancelling())
    wait_until(lambda: in_state(google.client, cancelled, "Cancelled"), SECONDS_MAX)
    google.container(left).stop()
    state = ended(google.client, left).state
    assert state is not None and state.is_crashed(), state
    wait_until(lambda: not google.api.jobs)
    assert len(google.api.started) == 2


def test_a_flow_runs_as_a_job_when_it_is_called(google: World, storage_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    endpoints = json.dumps({"run": google.api.url, "storage": storage_server})
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_GCP_ENDPOINTS", endpoints)
    bucket = GcsBucket(bucket=f"bundles-{uuid4().hex[:12]}", gcp_credentials=GcpCredentials.load("login"))
    bucket.create_bucket()
    storage = ["--bucket", bucket.bucket, "--gcp-credentials-block-name", "login"]
    chosen = python("-m", "headrace", "work-pool", "storage", "configure", "gcs", "pool", *storage)
    assert chosen.returncode == 0, chosen.stderr
    (tmp_path / "words.txt").write_text("ho ")
    (tmp_path / "bound.py").write_text(dedent(BOUND))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGE", google.image)
    told = python("-c", "import bound; print('answer:', bound.reads(3))")
    assert "answer: ho ho ho" in told.stdout, told.stdout + told.stderr
    assert len(google.api.started) == 1
