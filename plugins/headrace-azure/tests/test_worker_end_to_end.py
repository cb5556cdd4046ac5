"""Server, worker and containers, each real: runs report to the server from within, and what becomes of a container becomes of its run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID, uuid4

import pytest

from headrace.cli.main import main
from headrace.client.orchestration import SyncHeadraceClient, get_client
from headrace.client.schemas.actions import WorkPoolCreate
from headrace.client.schemas.objects import FlowRun
from headrace.settings import temporary_settings
from headrace.states import Cancelling
from headrace.testing.containers import DockerEngine
from headrace.testing.end_to_end import ended, until, worker_processes
from headrace.testing.server import ServerProcess, server_process
from headrace.utilities.importtools import load_script_as_module
from headrace_azure import (
    AzureBlobStorageContainer,
    AzureBlobStorageCredentials,
    AzureContainerInstanceCredentials,
    AzureContainerWorker,
    azure_container_instance,
)
from headrace_azure.workers.container_instance import parsed_identifier

from .resource_manager import VAULT, ResourceManager

TRAVELLER = """\
    from pathlib import Path
    from headrace import flow

    @flow(log_prints=True)
    def reads(name, number=2):
        print("reading", name)
        return Path(name).read_text(), number ** 2
    """
FLOWS = """\
    import os, time
    from headrace import flow, get_run_logger, task

    @task
    def double(number):
        return 2 * number

    @flow(log_prints=True)
    def counts(top: int = 3):
        get_run_logger().info("a container counts to %s", top)
        print("WORD is", os.environ.get("WORD"), "and PASSWORD is", len(os.environ.get("PASSWORD", "")), "long")
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
    """


@pytest.fixture
def server(arm: ResourceManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    with server_process(environment={"HEADRACE_HOME": str(tmp_path / "server")}) as found:
        monkeypatch.setenv("HEADRACE_API_URL", found.url)  # for commands that the test's own process starts
        with temporary_settings({"HEADRACE_API_URL": found.url}):
            yield found


@pytest.fixture
def client(server: ServerProcess) -> Iterator[SyncHeadraceClient]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture
def pool_variables(client: SyncHeadraceClient, docker_engine: DockerEngine, arm: ResourceManager, aci_variables: dict[str, Any]) -> dict[str, Any]:
    """Make the work pool `pool`, and return the variables of its runs. This interpreter is mounted into their containers."""
    image = docker_engine.python_image()
    arm.volumes = list(image.volumes)
    template = AzureContainerWorker.get_default_base_job_template()
    client.create_work_pool(WorkPoolCreate(name="pool", type="azure-container-instance", base_job_template=template))
    return {**aci_variables, "image": image.reference, "task_watch_poll_interval": 0.5}


@pytest.fixture
def deploy(client: SyncHeadraceClient, arm: ResourceManager, pool_variables: dict[str, Any], tmp_path: Path) -> Callable[..., UUID]:
    """Make a deployment of one of the flows, whose file is mounted into the containers too. Return its id."""
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "flows.py").write_text(dedent(FLOWS))
    arm.volumes.append(f"{folder}:{folder}:ro")

    def make(name: str, **variables: Any) -> UUID:
        variables = {**pool_variables, **variables}
        options: dict[str, Any] = {"entrypoint": f"flows.py:{name}", "path": str(folder), "job_variables": variables}
        return client.create_deployment(client.create_flow_from_name(name), name=f"{name}-{uuid4().hex[:4]}", work_pool_name="pool", **options)

    return make


@pytest.fixture
def start_worker(server: ServerProcess, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start workers as processes of their own, which are ended with the test; return when they take runs."""
    with worker_processes(server.url, tmp_path) as start:
        yield start


def is_running(client: SyncHeadraceClient, run: UUID) -> bool:
    found = client.read_flow_run(run)
    return found.state is not None and found.state.is_running() and found.infrastructure_pid is not None


def group_of(run: FlowRun) -> str:
    return parsed_identifier(str(run.infrastructure_pid))


def test_a_run_in_a_container_group_reports_its_states_tasks_and_logs(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any], arm: ResourceManager, tmp_path: Path
) -> None:
    arm.secrets["password"] = "hunter2"
    deployment = deploy(
        "counts",
        env={"WORD": "[given]", "HEADRACE_API_KEY": "key-of-the-api"},
        secret_env={"PASSWORD": f"{VAULT}/secrets/password"},
        stream_output=True,
        keep_container_group=True,
    )
    start_worker("one")
    found = ended(client, client.create_flow_run_from_deployment(deployment, parameters={"top": 4}).id)
    assert found.state is not None and found.state.is_completed(), found.state
    lines = [log.message for log in client.read_logs()]
    assert "a container counts to 4" in lines
    assert "WORD is [given] and PASSWORD is 7 long" in lines
    assert len([task for task in client.read_task_runs() if task.flow_run_id == found.id]) == 4

    assert str(found.infrastructure_pid) == f"{found.id}:counts-{found.id}"
    group = arm.groups[group_of(found)]
    assert group["tags"]["prefect.io-flow-run-id"] == str(found.id)
    until(lambda: "a container counts to 4" in (tmp_path / "one.log").read_text())  # the container's output on the worker's own
    asked = arm.deployments[f"headrace-{group_of(found)}"]["asked"]
    assert "key-of-the-api" not in asked + (tmp_path / "one.log").read_text()
    assert "hunter2" not in asked


def test_what_becomes_of_a_container_becomes_of_its_run(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any], arm: ResourceManager
) -> None:
    deployments = [
        deploy("fails"),
        deploy("dies"),
        deploy("counts", command="sh -c 'echo boom; exit 3'"),
        deploy("counts", image="nowhere/at-all:1"),
        deploy("counts", resource_group_name="not-ours"),
    ]
    waits = deploy("waits")
    start_worker("one")
    cancelled = client.create_flow_run_from_deployment(waits).id
    runs = [client.create_flow_run_from_deployment(one).id for one in deployments]
    fails, dies, exits, missing, forbidden = [ended(client, run).state for run in runs]
    assert fails is not None and fails.is_failed() and "wrong on purpose" in (fails.message or "")
    assert dies is not None and dies.is_crashed() and "9" in (dies.message or "")
    assert exits is not None and exits.is_crashed() and "3" in (exits.message or "")
    assert "[job] boom" in [log.message for log in client.read_logs() if log.flow_run_id == runs[2]]
    assert missing is not None and missing.is_crashed() and "InaccessibleImage" in (missing.message or "")
    assert forbidden is not None and forbidden.is_crashed() and "role" in (forbidden.message or "")

    until(lambda: is_running(client, cancelled))
    client.set_flow_run_state(cancelled, Cancelling())
    state = ended(client, cancelled).state
    assert state is not None and state.is_cancelled()
    until(lambda: not arm.groups)  # of none is anything left

    arm.stuck = True
    late = ended(client, client.create_flow_run_from_deployment(deploy("counts", task_start_timeout_seconds=1)).id)
    assert late.state is not None and late.state.is_crashed() and "within 1 seconds" in (late.state.message or ""), late.state
    assert arm.deployments[f"headrace-{group_of(late)}"]["properties"]["provisioningState"] == "Canceled"


def test_the_next_worker_watches_and_cancels_what_a_killed_one_started(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any], arm: ResourceManager
) -> None:
    waits = deploy("waits")
    first = start_worker("first")
    left, cancelled = (client.create_flow_run_from_deployment(waits).id for _ in range(2))
    until(lambda: is_running(client, left) and is_running(client, cancelled))
    first.kill()
    first.wait()
    start_worker("second")
    client.set_flow_run_state(cancelled, Cancelling())
    state = ended(client, cancelled).state
    assert state is not None and state.is_cancelled()
    arm.docker.containers.get(group_of(client.read_flow_run(left))).kill()
    state = ended(client, left).state
    assert state is not None and state.is_crashed()
    assert "137" in (state.message or "")
    assert arm.started == 2


def test_a_decorated_flow_travels_by_blob_storage_and_gives_its_value(
    client: SyncHeadraceClient,
    pool_variables: dict[str, Any],
    credentials: AzureBlobStorageCredentials,
    make_container: Callable[[], str],
    start_worker: Callable[[str], Any],
    arm: ResourceManager,
    tmp_path: Path,
) -> None:
    code = tmp_path / "code"
    (code / "data").mkdir(parents=True)
    (code / "data" / "word").write_text("travelled")
    (code / "traveller.py").write_text(dedent(TRAVELLER))
    credentials.save("bundles")
    AzureContainerInstanceCredentials.model_validate(pool_variables["aci_credentials"]).save("login")
    results = AzureBlobStorageContainer(container_name=make_container(), base_folder="results", credentials=credentials)
    results.save("results")
    words = ["--container", make_container(), "--azure-blob-storage-credentials-block-name", "bundles", "--launcher", "python"]
    assert main(["work-pool", "storage", "configure", "azure-blob-storage", "pool", *words]) == 0

    traveller = load_script_as_module(str(code / "traveller.py"))
    login = "{{ headrace.blocks.azure-container-instance-credentials.login }}"
    decorate = azure_container_instance("pool", include_files=["data/"], **{**pool_variables, "aci_credentials": login})
    reads = decorate(traveller.reads.with_options(result_storage=results))
    here = reads.submit("data/word", number=3)  # by a worker in this process
    there = reads.submit_to_work_pool("data/word")
    start_worker("one")
    assert here.result(timeout=120) == ("travelled", 9)
    assert there.result(timeout=120) == ("travelled", 4)
    assert arm.started == 2
    assert "reading data/word" in [log.message for log in client.read_logs()]
    assert len(results.list_paths()) == 2
