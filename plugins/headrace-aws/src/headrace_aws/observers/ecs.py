"""The observer of ECS tasks: reads their state changes from an SQS queue, to which EventBridge sends them, and tells the server.

One message is taken at a time, and deleted when everything that it calls for was done; otherwise SQS gives it out again. Several workers may read
one queue. Without a queue nothing is lost: workers ask ECS what becomes of their tasks.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

from headrace.client.orchestration import get_client
from headrace.events import Event, emit_event
from headrace.exceptions import ObjectNotFound
from headrace.logging.loggers import flow_run_logger
from headrace.states import Crashed
from headrace_aws.credentials import AwsCredentials, ClientType
from headrace_aws.errors import AwsError, code_of, explained, explaining
from headrace_aws.observers.diagnostics import diagnose_ecs_task
from headrace_aws.settings import EcsObserverSettings
from headrace_aws.workers.ecs_configuration import DEREGISTER_TAG
from headrace_aws.workers.task_definitions import containers_of_the_flow, deregister
from headrace_aws.workers.task_logs import last_lines, log_place

_logger = logging.getLogger("headrace.aws.observer")

RUN_TAG = "prefect.io/flow-run-id"
POLL_SECONDS = 20
"""How long SQS waits for a message (its long poll, at most 20)."""
HIDDEN_SECONDS = 300
"""How long a message is kept from others that is being worked on; all that is done with one has time limits that end before."""
RETRY_SECONDS, RETRY_SECONDS_MAX = 1.0, 60.0
"""The pauses after failures of SQS: the first, and the longest."""
REMEMBERED_MAX = 1000
_MISSING_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue")
_DEREGISTER_TAGS = (DEREGISTER_TAG, "prefect.io/degregister-task-definition")  # the second: as the original spells it
_RELATED = ("flow-run", "deployment", "flow", "work-pool")


class FilterCase(Enum):
    """What is asked of a tag, whatever its value."""

    PRESENT = auto()
    ABSENT = auto()


@dataclass(frozen=True, slots=True)
class TagsFilter:
    """What a handler asks of a task's tags."""

    wanted: Mapping[str, str | FilterCase] = field(default_factory=dict[str, "str | FilterCase"])

    def is_match(self, tags: Mapping[str, str]) -> bool:
        """Say whether a task with these tags is meant."""
        for key, want in self.wanted.items():
            if want is FilterCase.PRESENT or want is FilterCase.ABSENT:
                if (key in tags) is not (want is FilterCase.PRESENT):
                    return False
            elif tags.get(key) != want:
                return False
        return True


@dataclass(frozen=True, slots=True)
class LastStatusFilter:
    """What a handler asks of a task's status; nothing, without statuses."""

    statuses: frozenset[str] = frozenset()

    def is_match(self, last_status: str) -> bool:
        """Say whether a task with this status is meant."""
        return not self.statuses or last_status in self.statuses


Handler = Callable[["EcsObserver", dict[str, Any], dict[str, str]], None]


@dataclass(frozen=True, slots=True)
class _Registered:
    handler: Handler
    tags: TagsFilter
    statuses: LastStatusFilter


class _Remembered:
    """The newest of what was learned, by task."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Any] = OrderedDict()

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def put(self, key: str, value: Any) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > REMEMBERED_MAX:
            self._values.popitem(last=False)


class EcsObserver:
    """Reads the queue in a thread of its own, until it is stopped."""

    handlers: tuple[_Registered, ...] = ()
    """What is done with events, in this order; see `on_event`."""

    def __init__(self, settings: EcsObserverSettings, credentials: AwsCredentials | None = None) -> None:
        self.settings = settings
        self.credentials = credentials or AwsCredentials(region_name=settings.sqs.queue_region)
        self.last_events = _Remembered()
        self._tags = _Remembered()
        self._stopping = threading.Event()
        self._listening = threading.Event()
        self._has_told = False

    @property
    def is_listening(self) -> bool:
        """Whether the queue is there and could be read the last time."""
        return self._listening.is_set()

    def start(self) -> EcsObserver:
        """Begin to read, in a thread that does not keep the process alive."""
        threading.Thread(target=copy_context().run, args=(self.run,), name="headrace-ecs-observer", daemon=True).start()
        return self

    def stop(self) -> None:
        """Have the reading end. A message that is taken meanwhile is given out again by SQS."""
        self._stopping.set()
        self._listening.clear()

    def run(self) -> None:
        """Read the queue until `stop`. Failures of SQS are waited out; a queue that is not there is told of once."""
        pause = RETRY_SECONDS
        queue: str | None = None
        while not self._stopping.is_set():
            try:
                queue = queue or self._queue()
                self._receive(queue)
                pause = RETRY_SECONDS
            except Exception as error:  # noqa: BLE001  # the thread's border: whatever it is, reading goes on later
                self._listening.clear()
                queue = None
                self._tell(error)
                self._stopping.wait(pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)

    def handle(self, body: str) -> None:
        """Do all that a message calls for. Raises what a handler raises, when all of them were tried."""
        try:
            event = json.loads(body)
            detail = event["detail"]
            kind, task_arn, cluster = event["detail-type"], detail["taskArn"], detail["clusterArn"]
        except (ValueError, KeyError, TypeError):
            _logger.debug("A message of the queue is no event of an ECS task and is dropped.")
            return
        if kind != "ECS Task State Change":
            return
        tags = self.read_tags(cluster, task_arn)
        failed: Exception | None = None
        for one in self.handlers:
            if one.tags.is_match(tags) and one.statuses.is_match(detail.get("lastStatus", "")):
                try:
                    one.handler(self, event, tags)
                except Exception as error:  # noqa: BLE001  # told by the caller; the other handlers have their turn
                    failed = failed or error
        if failed is not None:
            raise failed

    def read_tags(self, cluster_arn: str, task_arn: str) -> dict[str, str]:
        """Return a task's tags; none when ECS does not know it any more. Asked once a task."""
        known = self._tags.get(task_arn)
        if known is not None:
            return known
        with explaining(f"The tags of the task {task_arn} cannot be read", self.credentials):
            try:
                found = self.credentials.get_client(ClientType.ECS).describe_tasks(cluster=cluster_arn, tasks=[task_arn], include=["TAGS"])["tasks"]
            except Exception as error:
                if code_of(error) not in ("ClusterNotFoundException", "InvalidParameterException"):
                    raise
                return {}
        tags = {one["key"]: one["value"] for one in found[0].get("tags", [])} if found else {}
        if found:
            self._tags.put(task_arn, tags)
        return tags

    @classmethod
    def on_event(cls, tags: Mapping[str, str | FilterCase] | None = None, statuses: tuple[str, ...] = ()) -> Callable[[Handler], Handler]:
        """Have a function called for tasks with these tags and one of these statuses, in every observer."""

        def register(handler: Handler) -> Handler:
            cls.handlers = (*cls.handlers, _Registered(handler, TagsFilter(tags or {}), LastStatusFilter(frozenset(statuses))))
            return handler

        return register

    def _sqs(self) -> Any:
        return self.credentials.get_client("sqs", read_timeout=POLL_SECONDS + 10)

    def _queue(self) -> str:
        return self._sqs().get_queue_url(QueueName=self.settings.sqs.queue_name)["QueueUrl"]

    def _receive(self, queue: str) -> None:
        if not self.is_listening:
            attributes = self._sqs().get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
            _logger.info("Listening to %s for what becomes of ECS tasks.", attributes["Attributes"]["QueueArn"])
            self._listening.set()
            self._has_told = False
        answer = self._sqs().receive_message(QueueUrl=queue, MaxNumberOfMessages=1, WaitTimeSeconds=POLL_SECONDS, VisibilityTimeout=HIDDEN_SECONDS)
        for message in answer.get("Messages", ()):
            if self._stopping.is_set():
                self._sqs().change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
                return
            try:
                self.handle(message["Body"])
            except Exception as error:  # noqa: BLE001  # the message comes again
                _logger.warning("An event of an ECS task could not be handled and will be tried again: %s: %s", type(error).__name__, error)
                self._sqs().change_message_visibility(
                    QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=int(RETRY_SECONDS_MAX)
                )
                continue
            self._sqs().delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    def _tell(self, error: Exception) -> None:
        """Tell once that the queue is not listened to, and what is done instead."""
        level = logging.DEBUG if self._has_told else logging.WARNING
        self._has_told = True
        name = self.settings.sqs.queue_name
        if code_of(error) in _MISSING_QUEUE:
            why = f"There is no SQS queue {name!r}; `headrace-aws ecs-worker deploy-events` makes one"
        else:
            found = error if isinstance(error, AwsError) else explained(error, f"The SQS queue {name!r} cannot be read", self.credentials)
            why = str(found) if found is not None else f"{type(error).__name__}: {error}"
        _logger.log(
            level,
            "%s. ECS is asked what becomes of tasks instead. To keep it so, set HEADRACE_INTEGRATIONS_AWS_ECS_OBSERVER_ENABLED=false.",
            why.rstrip("."),
        )


def start_observer(settings: EcsObserverSettings) -> EcsObserver:
    """Start an observer with the credentials of the environment, and return it."""
    return EcsObserver(settings).start()


# --- what is done with events


def _status_of(event: dict[str, Any]) -> str:
    return event["detail"].get("lastStatus", "UNKNOWN")


@EcsObserver.on_event(tags={RUN_TAG: FilterCase.PRESENT})
def replicate_ecs_event(observer: EcsObserver, event: dict[str, Any], tags: dict[str, str]) -> None:
    """Emit `prefect.ecs.task.<status>`, by the id of EventBridge's event, so that one that comes twice is stored once."""
    detail = event["detail"]
    task_arn = detail["taskArn"]
    resource = {"prefect.resource.id": f"prefect.ecs.task.{task_arn.rpartition('/')[2]}", "ecs.taskArn": task_arn}
    resource |= {f"ecs.{name}": detail[name] for name in ("clusterArn", "taskDefinitionArn") if detail.get(name)}
    related = [
        {"prefect.resource.id": f"prefect.{kind}.{tags[f'prefect.io/{kind}-id']}", "prefect.resource.role": kind, **_named(tags, kind)}
        for kind in _RELATED
        if tags.get(f"prefect.io/{kind}-id")
    ]
    worker = tags.get("prefect.io/worker-name")
    if worker:
        related.append(
            {
                "prefect.resource.id": worker,
                "prefect.resource.role": "worker",
                "prefect.resource.name": worker,
                "prefect.worker-type": "ecs",
            }
        )
    before: Event | None = observer.last_events.get(task_arn)
    occurred = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    follows = before if before is not None and before.id != UUID(event["id"]) else None
    emitted = emit_event(f"prefect.ecs.task.{_status_of(event).lower()}", resource, occurred, related, id=UUID(event["id"]), follows=follows)
    observer.last_events.put(task_arn, emitted)


def _named(tags: dict[str, str], kind: str) -> dict[str, str]:
    name = tags.get(f"prefect.io/{kind}-name")
    return {"prefect.resource.name": name} if name else {}


@EcsObserver.on_event(tags={RUN_TAG: FilterCase.PRESENT}, statuses=("STOPPED",))
def mark_runs_as_crashed(observer: EcsObserver, event: dict[str, Any], tags: dict[str, str]) -> None:
    """Propose Crashed for a run whose task has ended badly, and say in the run's log why."""
    detail = event["detail"]
    if not has_failed(detail):
        return
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(UUID(tags[RUN_TAG]))
        except (ObjectNotFound, ValueError):
            return
        state = run.state
        if state is None or state.is_final() or state.is_scheduled() or state.is_paused() or state.is_cancelling():
            return
        if run.infrastructure_pid and not run.infrastructure_pid.endswith(detail["taskArn"]):
            return  # it runs in another task by now
        never_began = state.is_pending()
        diagnosis = diagnose_ecs_task(detail)
        why = str(diagnosis) if diagnosis is not None else detail.get("stoppedReason") or "ECS gives no reason."
        answer = client.set_flow_run_state(run.id, Crashed(message=f"The ECS task {detail['taskArn']} ended: {why}"))
    if answer.state is None or not answer.state.is_crashed():
        return
    log = flow_run_logger(run)
    log.log(diagnosis.level if diagnosis is not None else logging.ERROR, "The ECS task %s ended: %s", detail["taskArn"], why)
    if never_began and observer.settings.forward_crashed_run_logs:
        _forward_log(observer, detail, log)


def has_failed(detail: dict[str, Any]) -> bool:
    """Say whether the container that runs the flow ended badly, or never began. Other containers of the task do not count beside it."""
    if not detail.get("containers"):
        return detail.get("stopCode") == "TaskFailedToStart"
    return any(one.get("exitCode") != 0 for one in containers_of_the_flow(detail))


def _forward_log(observer: EcsObserver, detail: dict[str, Any], log: Any) -> None:
    try:
        own = next((one.get("name") for one in containers_of_the_flow(detail)), None)
        place = log_place(observer.credentials, detail["taskArn"], detail["taskDefinitionArn"], own)
        lines = last_lines(observer.credentials, place, observer.settings.forward_crashed_run_logs_max_events) if place is not None else []
    except (AwsError, KeyError, ValueError) as error:
        _logger.warning("The output of the task %s cannot be read: %s", detail["taskArn"], error)
        return
    for line in lines:
        log.error("[job] %s", line)


@EcsObserver.on_event(tags={RUN_TAG: FilterCase.PRESENT}, statuses=("STOPPED",))
def deregister_task_definition(observer: EcsObserver, event: dict[str, Any], tags: dict[str, str]) -> None:
    """Deregister the definition of a task whose tags ask for it."""
    if any(tags.get(tag) == "true" for tag in _DEREGISTER_TAGS):
        deregister(observer.credentials, event["detail"]["taskDefinitionArn"])
