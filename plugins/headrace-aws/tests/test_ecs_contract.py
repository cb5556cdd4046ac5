"""The ECS worker keeps the contract of workers for remote jobs; its tasks are containers."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from docker import DockerClient
from docker.models.containers import Container

from headrace.testing import RemoteJobContract
from headrace.testing.containers import DockerEngine
from headrace.testing.remote_job_contract import RemoteService
from headrace.testing.worker_contract import StartedJob
from headrace_aws import AwsCredentials, ECSWorker
from headrace_aws.workers.ecs_worker import parse_identifier

SCRIPT = "trap 'exit 143' TERM; while [ ! -e /tmp/end ]; do sleep 0.05; done; exit $(cat /tmp/end)"


class Tasks(RemoteService):
    """Tasks of one cluster, whose command waits until it is told how to end."""

    def __init__(self, cluster: str, engine: DockerEngine) -> None:
        self.cluster = cluster
        self._ecs = AwsCredentials().get_client("ecs")
        self._docker = DockerClient(base_url=engine.address)
        self._told: set[str] = set()

    def _arns(self) -> set[str]:
        return {arn for status in ("RUNNING", "STOPPED") for arn in self._ecs.list_tasks(cluster=self.cluster, desiredStatus=status)["taskArns"]}

    def _task(self, arn: str) -> dict[str, Any]:
        return self._ecs.describe_tasks(cluster=self.cluster, tasks=[arn])["tasks"][0]

    async def started(self) -> StartedJob:
        while not (found := self._arns() - self._told):
            await asyncio.sleep(0.02)
        arn = found.pop()
        self._told.add(arn)
        while not (self._task(arn)["lastStatus"] in ("RUNNING", "STOPPED") and self._has_begun(arn)):
            await asyncio.sleep(0.02)
        own = self._task(arn)["overrides"]["containerOverrides"][0]
        return StartedJob(f"{self.cluster}::{arn}", {one["name"]: one["value"] for one in own["environment"]}, " ".join(own["command"]))

    def _containers(self, arn: str) -> list[Container]:
        return self._docker.containers.list(all=True, filters={"label": f"com.amazonaws.ecs.task-arn={arn}"}, ignore_removed=True)

    def _has_begun(self, arn: str) -> bool:
        return any(container.status != "created" for container in self._containers(arn))

    def end(self, identifier: str, status: int) -> None:
        (container,) = self._containers(parse_identifier(identifier).task_arn)
        container.exec_run(["sh", "-c", f"echo {status} > /tmp/new; mv /tmp/new /tmp/end"])
        container.wait(timeout=20)

    def is_running(self, identifier: str) -> bool:
        return self._task(parse_identifier(identifier).task_arn)["lastStatus"] == "RUNNING"

    def count(self) -> int:
        return len(self._arns())

    def close(self) -> None:
        for arn in self._arns():
            self._ecs.stop_task(cluster=self.cluster, task=arn)
        self._docker.close()


class TestECSWorker(RemoteJobContract):
    @pytest.fixture(autouse=True)
    def api(self, in_environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Runs are kept here, and the tasks report to nobody."""
        monkeypatch.setattr(ECSWorker, "needs_api_url", False)
        monkeypatch.setenv("HEADRACE_INTEGRATIONS_AWS_ECS_OBSERVER_ENABLED", "false")

    @pytest.fixture
    def worker_class(self) -> Any:
        class Impatient(ECSWorker):
            """Asks after tasks often."""

            def poll_seconds(self, job: Any) -> float:
                return 0.05

        return Impatient

    @pytest.fixture
    def cluster(self, in_environment: str) -> str:
        name = f"cluster-{uuid4().hex[:8]}"
        AwsCredentials().get_client("ecs").create_cluster(clusterName=name)
        return name

    @pytest.fixture
    def service(self, cluster: str, docker_engine: DockerEngine) -> Any:
        tasks = Tasks(cluster, docker_engine)
        yield tasks
        tasks.close()

    @pytest.fixture
    def job_variables(self, cluster: str, docker_engine: DockerEngine) -> dict[str, Any]:
        ecs = AwsCredentials().get_client("ecs")
        container = {"name": "flow", "image": docker_engine.busybox_image(), "cpu": 128, "memory": 64}
        definition = ecs.register_task_definition(family=f"f-{uuid4().hex}", networkMode="host", containerDefinitions=[container])
        return {
            "task_definition_arn": definition["taskDefinition"]["taskDefinitionArn"],
            "launch_type": "EC2",
            "cluster": cluster,
            "command": f'sh -c "{SCRIPT}"',
        }

    @pytest.fixture
    def broken_job_variables(self, cluster: str) -> dict[str, Any]:
        arn = f"arn:aws:ecs:us-east-1:000000000000:task-definition/no-such-{uuid4().hex}:1"
        return {"task_definition_arn": arn, "launch_type": "EC2", "cluster": cluster}

    @pytest.fixture
    def lost_answer(self) -> Exception:
        return ReadTimeoutError(endpoint_url="https://ecs.us-east-1.amazonaws.com")

    @pytest.fixture
    def busy_answer(self) -> Exception:
        return ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "RunTask")
