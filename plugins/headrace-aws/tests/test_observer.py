"""The observer of ECS tasks: events from a queue become events, states and log lines. Queue, tasks and logs are moto's."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from headrace.client.orchestration import get_client
from headrace.client.schemas.objects import FlowRun
from headrace.events import Event
from headrace.states import Completed, Pending, Running, Scheduled
from headrace_aws import AwsCredentials, ECSWorker
from headrace_aws.observers import ecs as observers
from headrace_aws.observers.ecs import EcsObserver, FilterCase, LastStatusFilter, TagsFilter
from headrace_aws.settings import AwsSettings

from .conftest import credentials_for, environment_for

SECONDS_MAX = 30.0


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS_MAX
    while not (found := holds()):
        assert time.monotonic() < deadline, "This did not come about in time."
        time.sleep(0.02)
    return found


class Cluster:
    """A cluster with tasks that have tags, and the messages that EventBridge would send of them."""

    def __init__(self, credentials: AwsCredentials) -> None:
        self.credentials = credentials
        self.ecs = credentials.get_client("ecs")
        self.arn = self.ecs.create_cluster(clusterName=f"c-{uuid4().hex[:8]}")["cluster"]["clusterArn"]
        options = {"awslogs-group": f"g-{uuid4().hex[:8]}", "awslogs-stream-prefix": "p", "awslogs-region": "us-east-1"}
        self.group = options["awslogs-group"]
        container = {"name": "headrace", "image": "i", "cpu": 1, "memory": 4, "logConfiguration": {"logDriver": "awslogs", "options": options}}
        made = self.ecs.register_task_definition(family=f"f-{uuid4().hex}", networkMode="host", containerDefinitions=[container])
        self.definition = made["taskDefinition"]["taskDefinitionArn"]

    def task(self, run: FlowRun, **tags: str) -> str:
        """Return the ARN of a task whose tags say that it runs this run."""
        known = {"prefect.io/flow-run-id": str(run.id), "prefect.io/flow-run-name": run.name, "prefect.io/worker-name": "one", **tags}
        subnet = self.credentials.get_client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
        made = self.ecs.run_task(
            cluster=self.arn,
            taskDefinition=self.definition,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": []}},
            tags=[{"key": key, "value": value} for key, value in known.items()],
        )
        return made["tasks"][0]["taskArn"]

    def message(self, task_arn: str, status: str = "STOPPED", **detail: Any) -> str:
        detail = {"taskArn": task_arn, "clusterArn": self.arn, "taskDefinitionArn": self.definition, "lastStatus": status, **detail}
        told = {"id": str(uuid4()), "detail-type": "ECS Task State Change", "source": "aws.ecs", "time": "2026-01-01T00:00:00Z", "detail": detail}
        return json.dumps(told)


@pytest.fixture
def cluster(moto: str) -> Cluster:
    return Cluster(credentials_for(moto))


@pytest.fixture
def observer(cluster: Cluster) -> EcsObserver:
    return EcsObserver(AwsSettings().ecs.observer, cluster.credentials)


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """The events that are emitted, as they are stored."""
    found: list[Event] = []

    def noting(*args: Any, **kwargs: Any) -> Event:
        found.append(emit(*args, **kwargs))
        return found[-1]

    emit = observers.emit_event
    monkeypatch.setattr(observers, "emit_event", noting)
    return found


def run_in(state: Any) -> FlowRun:
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("observed")
        run = client.create_flow_run_from_deployment(client.create_deployment(flow, name="d"))
        client.set_flow_run_state(run.id, state, force=True)
        return run


def state_of(run: FlowRun) -> Any:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run.id).state


def lines_of(run: FlowRun) -> list[str]:
    with get_client(sync_client=True) as client:
        return [log.message for log in client.read_logs() if log.flow_run_id == run.id]


FAILED = {"containers": [{"name": "headrace", "exitCode": 3}], "stoppedReason": "Essential container in task exited"}


def test_a_task_that_fails_crashes_its_run_and_says_why(cluster: Cluster, observer: EcsObserver, emitted: list[Event]) -> None:
    run = run_in(Running())
    arn = cluster.task(run)
    observer.handle(cluster.message(arn, **FAILED))
    state = state_of(run)
    assert state.is_crashed()
    assert "'headrace' with 3" in state.message
    assert until(lambda: any("'headrace' with 3" in line for line in lines_of(run)))
    (event,) = emitted
    assert event.event == "prefect.ecs.task.stopped"
    assert event.resource["prefect.resource.id"] == f"prefect.ecs.task.{arn.rpartition('/')[2]}"
    assert event.resource["ecs.taskArn"] == arn
    related = {one["prefect.resource.role"]: one["prefect.resource.id"] for one in (resource.root for resource in event.related)}
    assert related == {"flow-run": f"prefect.flow-run.{run.id}", "worker": "one"}


def test_the_log_of_a_run_that_never_began_is_put_into_its_own(cluster: Cluster, observer: EcsObserver) -> None:
    run = run_in(Pending())
    arn = cluster.task(run)
    logs, stream = cluster.credentials.get_client("logs"), f"p/headrace/{arn.rpartition('/')[2]}"
    logs.create_log_group(logGroupName=cluster.group)
    logs.create_log_stream(logGroupName=cluster.group, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": "ImportError: no module named flows"}]
    logs.put_log_events(logGroupName=cluster.group, logStreamName=stream, logEvents=events)
    observer.handle(cluster.message(arn, **FAILED))
    assert state_of(run).is_crashed()
    assert until(lambda: "[job] ImportError: no module named flows" in lines_of(run))


@pytest.mark.parametrize(
    ("detail", "is_crash"),
    [
        ({"containers": [{"name": "headrace", "exitCode": 0}]}, False),
        ({"containers": [{"name": "headrace", "exitCode": 0}, {"name": "sidecar", "exitCode": 9}]}, False),
        ({"containers": [{"name": "headrace"}], "stopCode": "TaskFailedToStart", "stoppedReason": "CannotPullContainerError"}, True),
        ({"containers": [{"name": "mine", "exitCode": 1}]}, True),
        (
            {
                "containers": [{"name": "sidecar", "exitCode": 143}, {"name": "mine", "exitCode": 0}],
                "overrides": {"containerOverrides": [{"name": "mine"}]},
            },
            False,
        ),
        ({"containers": [], "stopCode": "TaskFailedToStart"}, True),
        ({"containers": [], "stopCode": "UserInitiated"}, False),
    ],
)
def test_the_container_of_the_flow_decides(cluster: Cluster, observer: EcsObserver, detail: dict[str, Any], is_crash: bool) -> None:
    run = run_in(Running())
    observer.handle(cluster.message(cluster.task(run), **detail))
    assert state_of(run).is_crashed() is is_crash


@pytest.mark.parametrize("state", [Completed(), Scheduled(), Scheduled(name="AwaitingRetry")])
def test_runs_that_are_no_more_in_their_task_stay_as_they_are(cluster: Cluster, observer: EcsObserver, state: Any) -> None:
    run = run_in(state)
    observer.handle(cluster.message(cluster.task(run), **FAILED))
    assert state_of(run).name == state.name


def test_a_run_that_runs_in_another_task_by_now_goes_on(cluster: Cluster, observer: EcsObserver) -> None:
    run = run_in(Running())
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, infrastructure_pid="c::arn:aws:ecs:us-east-1:1:task/c/another")
    observer.handle(cluster.message(cluster.task(run), **FAILED))
    assert state_of(run).is_running()


def test_definitions_are_deregistered_where_tags_ask_for_it(cluster: Cluster, observer: EcsObserver) -> None:
    arn = cluster.task(run_in(Completed()), **{"prefect.io/degregister-task-definition": "true"})
    observer.handle(cluster.message(arn, containers=[{"name": "headrace", "exitCode": 0}]))
    assert cluster.ecs.describe_task_definition(taskDefinition=cluster.definition)["taskDefinition"]["status"] == "INACTIVE"


def test_events_follow_each_other(cluster: Cluster, observer: EcsObserver, emitted: list[Event]) -> None:
    arn = cluster.task(run_in(Running()))
    for status in ("PENDING", "RUNNING"):
        observer.handle(cluster.message(arn, status))
    assert [one.event for one in emitted] == ["prefect.ecs.task.pending", "prefect.ecs.task.running"]
    assert emitted[1].follows == emitted[0].id


def test_tasks_that_are_not_ours_and_messages_that_are_none_are_passed_over(cluster: Cluster, observer: EcsObserver, emitted: list[Event]) -> None:
    for body in ("no json", "[]", "{}", json.dumps({"detail-type": "x", "detail": {}})):
        observer.handle(body)
    gone = f"{cluster.arn.replace(':cluster/', ':task/')}/{uuid4().hex}"
    observer.handle(cluster.message(gone, **FAILED))
    assert emitted == []


# --- the queue


@pytest.fixture
def queue(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in environment_for(moto).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AWS_ECS_OBSERVER_SQS_QUEUE_NAME", name := f"q-{uuid4().hex[:8]}")
    monkeypatch.setattr(observers, "POLL_SECONDS", 1)
    sqs = AwsCredentials().get_client("sqs")
    return sqs.create_queue(QueueName=name)["QueueUrl"]


def test_messages_are_deleted_when_all_is_done(cluster: Cluster, queue: str) -> None:
    sqs = AwsCredentials().get_client("sqs")
    observer = observers.start_observer(AwsSettings().ecs.observer)
    try:
        until(lambda: observer.is_listening)
        run = run_in(Running())
        sqs.send_message(QueueUrl=queue, MessageBody=cluster.message(cluster.task(run), **FAILED))
        until(lambda: state_of(run).is_crashed())
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        until(lambda: set(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"].values()) == {"0"})
    finally:
        observer.stop()
    assert not observer.is_listening


def test_a_message_that_could_not_be_handled_comes_again(cluster: Cluster, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def failing(self: EcsObserver, body: str) -> None:
        tried.append(body)
        if len(tried) == 1:
            raise RuntimeError("not now")

    monkeypatch.setattr(EcsObserver, "handle", failing)
    monkeypatch.setattr(observers, "RETRY_SECONDS_MAX", 0)
    AwsCredentials().get_client("sqs").send_message(QueueUrl=queue, MessageBody="once")
    observer = observers.start_observer(AwsSettings().ecs.observer)
    try:
        until(lambda: len(tried) == 2)
    finally:
        observer.stop()
    assert tried == ["once", "once"]


def test_a_missing_queue_is_told_once(queue: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AWS_ECS_OBSERVER_SQS_QUEUE_NAME", "no-such-queue")
    monkeypatch.setattr(observers, "RETRY_SECONDS", 0.01)
    caplog.set_level(logging.DEBUG, logger="headrace.aws.observer")
    observer = observers.start_observer(AwsSettings().ecs.observer)
    try:
        until(lambda: len([one for one in caplog.records if "no-such-queue" in one.getMessage()]) > 2)
    finally:
        observer.stop()
    levels = [one.levelno for one in caplog.records if "no-such-queue" in one.getMessage()]
    assert levels.count(logging.WARNING) == 1
    assert not observer.is_listening


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_queue_is_listened_to_where_that_is_wanted(queue: str, is_enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_INTEGRATIONS_AWS_ECS_OBSERVER_ENABLED", str(is_enabled))

    def listens() -> bool:
        return any(thread.name == "headrace-ecs-observer" and thread not in before for thread in threading.enumerate())

    async def body() -> None:
        async with ECSWorker(work_pool_name="pool", create_pool_if_not_found=True):
            assert listens() is is_enabled

    before = threading.enumerate()
    asyncio.run(body())
    until(lambda: not listens())


# --- what handlers ask for


def test_tags_are_matched() -> None:
    assert TagsFilter({"a": FilterCase.PRESENT, "b": FilterCase.ABSENT, "c": "1"}).is_match({"a": "", "c": "1"})
    assert not TagsFilter({"a": FilterCase.PRESENT}).is_match({})
    assert not TagsFilter({"b": FilterCase.ABSENT}).is_match({"b": "x"})
    assert not TagsFilter({"c": "1"}).is_match({"c": "2"})


def test_statuses_are_matched() -> None:
    assert LastStatusFilter().is_match("RUNNING")
    assert not LastStatusFilter(frozenset({"STOPPED"})).is_match("RUNNING")
