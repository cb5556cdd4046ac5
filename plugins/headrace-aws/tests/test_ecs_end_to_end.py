"""Server, worker and ECS tasks, each real: runs report to the server from within, and what becomes of a task becomes of its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID, uuid4

import pytest
from docker import DockerClient

from headrace.client.orchestration import SyncHeadraceClient, get_client
from headrace.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from headrace.client.schemas.objects import FlowRun, WorkPoolStorageConfiguration
from headrace.settings import temporary_settings
from headrace.states import Cancelling
from headrace.testing.containers import DockerEngine
from headrace.testing.end_to_end import ended, until, worker_processes
from headrace.testing.server import ServerProcess, server_process
from headrace_aws import AwsCredentials, ECSWorker, S3Bucket
from headrace_aws.workers.ecs_worker import parse_identifier

from .conftest import credentials_for

SECONDS_MAX = 120.0
FLOWS = """\
    import os, time
    from headrace import flow, get_run_logger, task

    @task
    def double(number):
        return 2 * number

    @flow(log_prints=True)
    def counts(top: int = 3):
        get_run_logger().info("a task counts to %s", top)
        print("WORD is", os.environ.get("WORD"), "and PASSWORD is", len(os.environ.get("PASSWORD", "")), "long")
        return sum(double.map(range(top)).result())

    @flow
    def dies():
        os._exit(9)

    @flow
    def waits():
        time.sleep(600)
    """


@pytest.fixture
def server(in_environment: str, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(environment={"HEADRACE_HOME": str(tmp_path / "server")}) as found:
        with temporary_settings({"HEADRACE_API_URL": found.url}):
            yield found


@pytest.fixture
def client(server: ServerProcess) -> Iterator[SyncHeadraceClient]:
    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture
def cluster(in_environment: str) -> str:
    name = f"cluster-{uuid4().hex[:8]}"
    AwsCredentials().get_client("ecs").create_cluster(clusterName=name)
    return name


@pytest.fixture
def deploy(client: SyncHeadraceClient, docker_engine: DockerEngine, cluster: str, tmp_path: Path) -> Callable[..., UUID]:
    """Make a deployment of one of the flows; the flows' file and this interpreter are mounted into the containers. Return its id."""
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "flows.py").write_text(dedent(FLOWS))
    image = docker_engine.python_image()
    places = [str(folder), *(volume.partition(":")[0] for volume in image.volumes)]
    template = ECSWorker.get_default_base_job_template()
    definition = template["job_configuration"]["task_definition"]
    definition["networkMode"] = "host"
    definition["volumes"] = [{"name": f"v{number}", "host": {"sourcePath": place}} for number, place in enumerate(places)]
    definition["containerDefinitions"][0]["mountPoints"] = [
        {"sourceVolume": f"v{number}", "containerPath": place, "readOnly": True} for number, place in enumerate(places)
    ]
    template["job_configuration"]["task_watch_poll_interval"] = 0.2
    client.create_work_pool(WorkPoolCreate(name="pool", type="ecs", base_job_template=template))

    def make(name: str, **variables: Any) -> UUID:
        variables = {"image": image.reference, "launch_type": "EC2", "cluster": cluster, **variables}
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


def task_of(run: FlowRun) -> dict[str, Any]:
    identifier = parse_identifier(str(run.infrastructure_pid))
    ecs = AwsCredentials().get_client("ecs")
    return ecs.describe_tasks(cluster=identifier.cluster, tasks=[identifier.task_arn], include=["TAGS"])["tasks"][0]


def test_runs_report_from_within_their_tasks(client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any]) -> None:
    arn = AwsCredentials().get_secrets_manager_client().create_secret(Name=f"p-{uuid4().hex}", SecretString="hunter2")["ARN"]
    deployment = deploy("counts", env={"WORD": "given", "PASSWORD": "plain"}, secret_env={"PASSWORD": arn})
    start_worker("one")
    first = ended(client, client.create_flow_run_from_deployment(deployment, parameters={"top": 4}).id)
    assert first.state is not None and first.state.is_completed(), first.state
    lines = [log.message for log in client.read_logs()]
    assert "a task counts to 4" in lines
    assert "WORD is given and PASSWORD is 7 long" in lines
    assert len([task for task in client.read_task_runs() if task.flow_run_id == first.id]) == 4

    task = task_of(first)
    tags = {one["key"]: one["value"] for one in task["tags"]}
    assert tags["prefect.io/flow-run-id"] == str(first.id)
    assert tags["prefect.io/deployment-id"] == str(deployment)
    environment = {one["name"] for one in task["overrides"]["containerOverrides"][0]["environment"]}
    assert "WORD" in environment
    assert "PASSWORD" not in environment


def test_what_becomes_of_a_task_becomes_of_its_run(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any], docker_engine: DockerEngine, tmp_path: Path
) -> None:
    start_worker("one")
    logs = {"configure_cloudwatch_logs": True, "execution_role_arn": "arn:aws:iam::000000000000:role/execution", "cloudwatch_logs_prefix": "runs"}
    dies = client.create_flow_run_from_deployment(deploy("dies")).id
    waits = client.create_flow_run_from_deployment(deploy("waits", env={"HEADRACE_API_KEY": "key-of-the-api"})).id
    broken = client.create_flow_run_from_deployment(
        deploy("counts", command="sh -c 'echo boom; while [ ! -e /tmp/end ]; do sleep 0.1; done; exit 4'", **logs)
    ).id
    missing = client.create_flow_run_from_deployment(deploy("counts", vpc_id="vpc-none", launch_type="FARGATE")).id

    pid = until(lambda: client.read_flow_run(broken).infrastructure_pid)
    _write_log(docker_engine, parse_identifier(pid).task_arn)

    state = ended(client, dies).state
    assert state is not None and state.is_crashed()
    assert "9" in str(state.message)

    state = ended(client, broken).state
    assert state is not None and state.is_crashed()
    assert "4" in str(state.message)
    until(lambda: "[job] boom" in [log.message for log in client.read_logs() if log.flow_run_id == broken])

    state = ended(client, missing).state
    assert state is not None and state.is_crashed()
    assert "awsvpc" in str(state.message)  # the pool's template says host

    until(lambda: is_running(client, waits))
    client.set_flow_run_state(waits, Cancelling())
    state = ended(client, waits).state
    assert state is not None and state.is_cancelled()
    until(lambda: task_of(client.read_flow_run(waits))["lastStatus"] == "STOPPED")  # the flow sees that it is cancelled, too
    assert "key-of-the-api" not in (tmp_path / "one.log").read_text()


def test_the_next_worker_takes_over_what_a_killed_one_watched(
    client: SyncHeadraceClient, deploy: Callable[..., UUID], start_worker: Callable[[str], Any], docker_engine: DockerEngine
) -> None:
    first = start_worker("one")
    run = client.create_flow_run_from_deployment(deploy("waits")).id
    until(lambda: is_running(client, run))
    first.send_signal(signal.SIGKILL)
    first.wait()
    start_worker("one")
    arn = parse_identifier(str(client.read_flow_run(run).infrastructure_pid)).task_arn
    docker = DockerClient(base_url=docker_engine.address)
    (container,) = docker.containers.list(filters={"label": f"com.amazonaws.ecs.task-arn={arn}"})
    container.kill()
    docker.close()
    state = ended(client, run).state
    assert state is not None and state.is_crashed()
    until(lambda: any("'one' watches the job" in log.message for log in client.read_logs()))
    cluster = parse_identifier(str(client.read_flow_run(run).infrastructure_pid)).cluster
    until(lambda: AwsCredentials().get_client("ecs").list_tasks(cluster=cluster)["taskArns"] == [])


BOUND = """\
    import sys
    from pathlib import Path
    from headrace import flow
    from headrace_aws import S3Bucket, ecs

    @ecs(
        work_pool="pool",
        include_files=["words.txt"],
        launcher={"upload": [sys.executable], "execution": ["python"]},
        image=IMAGE,
        launch_type="EC2",
        cluster=CLUSTER,
    )
    @flow(result_storage=S3Bucket.load("results"))
    def reads(times: int):
        return Path("words.txt").read_text() * times
    """


def test_a_flow_runs_as_a_task_when_it_is_called(
    client: SyncHeadraceClient,
    deploy: Callable[..., UUID],
    docker_engine: DockerEngine,
    cluster: str,
    tmp_path: Path,
    ministack: str,
    server: ServerProcess,
) -> None:
    credentials = credentials_for(ministack)
    credentials.save("account")
    credentials.get_s3_client().create_bucket(Bucket=cluster)
    S3Bucket(bucket_name=cluster, credentials=credentials, bucket_folder="results").save("results")
    step = {"bucket": cluster, "aws_credentials_block_name": "account", "requires": "headrace-aws"}
    steps = {f"bundle_{how}_step": {f"headrace_aws.bundles.{what}": dict(step)} for how, what in (("upload", "upload"), ("execution", "execute"))}
    client.update_work_pool("pool", WorkPoolUpdate(storage_configuration=WorkPoolStorageConfiguration(**steps)))
    folder = tmp_path / "bound"
    folder.mkdir()
    (folder / "words.txt").write_text("ho ")
    image = repr(docker_engine.python_image().reference)
    (folder / "bound.py").write_text(dedent(BOUND).replace("IMAGE", image).replace("CLUSTER", repr(cluster)))
    asked = "import bound; print('answer:', bound.reads(3))"
    env = {**os.environ, "HEADRACE_API_URL": server.url, "HEADRACE_HOME": str(tmp_path / "caller")}
    done = subprocess.run([sys.executable, "-c", asked], cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert "answer: ho ho ho" in done.stdout, done.stdout + done.stderr


def _write_log(engine: DockerEngine, task_arn: str) -> None:
    """Do what the awslogs driver does on AWS, then have the container end: the emulator runs containers, and keeps a log of theirs sometimes."""
    docker = DockerClient(base_url=engine.address)
    (container,) = until(lambda: docker.containers.list(all=True, filters={"label": f"com.amazonaws.ecs.task-arn={task_arn}"}))
    lines = until(lambda: container.logs().decode().splitlines())
    logs, stream = AwsCredentials().get_client("logs"), f"runs/headrace/{task_arn.rpartition('/')[2]}"
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName="headrace")
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName="headrace", logStreamName=stream)
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName="headrace", logStreamName=stream, logEvents=events)
    container.exec_run(["touch", "/tmp/end"])
    docker.close()
