"""The ECS worker: each run as a task of its own.

    headrace work-pool create --type ecs my-ecs-pool
    headrace worker start --pool my-ecs-pool

A task definition is registered for each deployment, and used again while it is the same; one that exists can be named instead. Fargate tasks need
a network: without one, they get the subnets of the default VPC. With `configure_cloudwatch_logs` containers write their output to CloudWatch.

What becomes of a task is asked of ECS, and told by the observer where the queue of `headrace-aws ecs-worker deploy-events` is there.
"""

from __future__ import annotations

import asyncio
import random
import time
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, NamedTuple

from headrace.blocks.credentials import is_secret_name
from headrace.exceptions import InfrastructureNotFound
from headrace.workers.base import BaseWorkerResult
from headrace.workers.remote import Failure, JobLogs, JobStatus, RemoteJobWorker
from headrace_aws.credentials import ClientType
from headrace_aws.errors import AwsError, code_of, explained, explaining
from headrace_aws.observers.diagnostics import diagnose_ecs_task
from headrace_aws.observers.ecs import EcsObserver, start_observer
from headrace_aws.settings import AwsSettings
from headrace_aws.workers.ecs_configuration import CapacityProvider, ECSJobConfiguration, ECSVariables
from headrace_aws.workers.task_definitions import containers_of_the_flow, deregister, failure_of_sdk, provide_definition
from headrace_aws.workers.task_logs import log_place, read_page
from headrace_aws.workers.task_requests import ignored_variables, run_request

POLL_SECONDS = 5.0
OBSERVED_POLL_SECONDS = 30.0
"""How often a task is asked after while the observer tells of its end."""
LISTED_SECONDS_MAX = 60.0
"""How long after its start ECS may not know a task: its answers lag behind."""
_SEPARATOR = "::"
_PENDING = ("PROVISIONING", "PENDING", "ACTIVATING")
_MAY_FIND_PLACE = ("RESOURCE", "AGENT", "CAPACITY", "Capacity")
"""How reasons begin for which a task has no place now and may have one soon (Amazon ECS API Reference, "API failures")."""
_REFUSALS: tuple[tuple[str, str], ...] = (
    ("Cluster not found", "There is no cluster of this name. Make it, or correct `cluster`, or the region."),
    ("No Container Instances", "The cluster has no machines. Add some, or choose the `launch_type` FARGATE."),
    ("capacity provider", "The cluster must have the capacity provider: add it (FARGATE_SPOT is one), or choose another `launch_type`."),
    ("TaskDefinition is inactive", "The task definition was deregistered. Name another one."),
    ("Unable to find task definition", "There is no such task definition. Correct `task_definition_arn`, or the region."),
    ("subnet", "Check the subnets and security groups of `network_configuration`."),
    ("security group", "Check the subnets and security groups of `network_configuration`."),
    ("length", "Overrides have a limit of 8192 characters in all: leave some variables out of `env`."),
)


class TaskNotPlaced(AwsError):
    """ECS has no place for a task now."""


class ECSIdentifier(NamedTuple):
    """The identifier for a running ECS task."""

    cluster: str
    task_arn: str

    def __str__(self) -> str:
        return f"{self.cluster}{_SEPARATOR}{self.task_arn}"


def parse_identifier(identifier: str) -> ECSIdentifier:
    """Return the parts of an identifier: `cluster::task_arn`. Raises ValueError for what is none."""
    cluster, separator, task = identifier.partition(_SEPARATOR)
    if not separator or not cluster or not task:
        raise ValueError(
            f"{identifier!r} is no identifier of an ECS task, which is like 'cluster::arn:aws:ecs:us-east-1:123456789012:task/cluster/id'."
        )
    return ECSIdentifier(cluster, task)


def mask_sensitive_env_values(task_run_request: dict[str, Any], values: list[str], keep_length: int = 3, replace_with: str = "***") -> dict[str, Any]:
    """Return a copy of a request in which variables of these names show the first `keep_length` characters of their values only."""
    found = deepcopy(task_run_request)
    for container in found.get("overrides", {}).get("containerOverrides", []):
        for one in container.get("environment", []):
            if one.get("name") in values and len(one["value"]) > keep_length:
                one["value"] = one["value"][:keep_length] + replace_with
    return found


def mask_api_key(task_run_request: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a request in which the API's key is hidden but for its first characters, and its auth string altogether."""
    found = mask_sensitive_env_values(task_run_request, ["HEADRACE_API_KEY"], keep_length=6)
    return mask_sensitive_env_values(found, ["HEADRACE_API_AUTH_STRING"], keep_length=0)


def _for_the_log(task_run_request: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a request in which no variable shows its value whose name tells of a secret, but for the start of the API's key."""
    containers = task_run_request["overrides"]["containerOverrides"]
    names = {one["name"] for container in containers for one in container.get("environment", []) if is_secret_name(one["name"])}
    return mask_sensitive_env_values(mask_api_key(task_run_request), [*(names - {"HEADRACE_API_KEY"})], keep_length=0)


class ECSWorkerResult(BaseWorkerResult):
    """The result of an ECS job: the task, and the exit code of the container that ran the flow."""


class ECSWorker(RemoteJobWorker[ECSJobConfiguration, ECSVariables, ECSWorkerResult]):
    """Run flows as ECS tasks."""

    type = "ecs"
    job_configuration: ClassVar[Any] = ECSJobConfiguration
    job_configuration_variables: ClassVar[Any] = ECSVariables
    result_class: ClassVar[Any] = ECSWorkerResult

    _display_name: ClassVar[str] = "AWS Elastic Container Service"
    _description: ClassVar[str] = "Execute flow runs within containers on AWS ECS. Works with EC2 and Fargate clusters. Requires an AWS account."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = AwsSettings().ecs
        self._begun: dict[str, float] = {}
        """When this worker began a task, by its identifier."""
        self._observer: EcsObserver | None = None

    async def setup(self) -> None:
        """See `BaseWorker.setup`."""
        await super().setup()
        self.submit_tries = max(self._settings.worker.create_task_run_max_attempts, 1)  # pyright: ignore[reportAttributeAccessIssue]  # for this one
        if self._settings.observer.enabled:
            self._observer = start_observer(self._settings.observer)

    async def teardown(self, *exc_info: Any) -> None:
        """See `BaseWorker.teardown`."""
        if self._observer is not None:
            self._observer.stop()
        await super().teardown(*exc_info)

    # --- what `RemoteJobWorker` asks for

    def submit_job(self, job: ECSJobConfiguration, token: str) -> str:
        """Provide the task definition and run it."""
        ecs = self._ecs(job)
        definition = provide_definition(ecs, job, self._logger)
        ignored = ignored_variables(job)
        if ignored:
            self._logger.warning("The task definition %s exists, so these have no effect: %s.", definition["taskDefinitionArn"], ", ".join(ignored))
        request = run_request(partial(job.aws_credentials.get_client, "ec2"), job, definition, token, self._logger)
        self._logger.debug("Running a task: %s", _for_the_log(request))
        try:
            answer = ecs.run_task(**request)
        except Exception as error:
            if (made := _made_before(error)) is None:
                raise _refusal(error, request, job) from error
            answer = {"tasks": [{"taskArn": made}]}
        tasks = answer.get("tasks") or []
        if not tasks:
            raise _not_run(answer.get("failures") or [], request)
        arn = tasks[0]["taskArn"]
        identifier = ECSIdentifier(request.get("cluster") or tasks[0].get("clusterArn") or _cluster_of(arn), arn)
        self._begun[str(identifier)] = time.monotonic()
        return str(identifier)

    def find_job(self, job: ECSJobConfiguration, token: str) -> str | None:
        """Return the task that was started by the request with this token."""
        cluster = job.task_run_request.get("cluster") or job.cluster
        asked = {"startedBy": token, **({"cluster": cluster} if cluster else {})}
        for desired in ("RUNNING", "STOPPED"):
            with explaining("The tasks cannot be listed", job.aws_credentials):
                found = self._ecs(job).list_tasks(desiredStatus=desired, **asked)["taskArns"]
            if found:
                return str(ECSIdentifier(cluster or _cluster_of(found[0]), found[0]))
        return None

    def poll_job(self, identifier: str, job: ECSJobConfiguration) -> JobStatus:
        """Return how far a task is."""
        try:
            task = self._task(parse_identifier(identifier), job)
        except InfrastructureNotFound:
            if time.monotonic() - self._begun.get(identifier, float("-inf")) < LISTED_SECONDS_MAX:
                return JobStatus.pending("ECS does not list it yet.")
            raise
        status = task["lastStatus"]
        if status in _PENDING:
            return JobStatus.pending(f"It is {status.lower()}.")
        if status != "STOPPED":
            return JobStatus.running()
        self._begun.pop(identifier, None)
        diagnosis = diagnose_ecs_task(task)
        return JobStatus.ended(_exit_code(task, job), str(diagnosis) if diagnosis is not None else task.get("stoppedReason") or "")

    def stop_job(self, identifier: str, job: ECSJobConfiguration, grace_seconds: int) -> None:
        """Stop a task. The time between asking and forcing is that of its container definition (`stopTimeout`), not `grace_seconds`."""
        parsed = parse_identifier(identifier)
        if self._task(parsed, job)["lastStatus"] == "STOPPED":
            raise InfrastructureNotFound(f"The task {parsed.task_arn} has ended already.")
        try:
            self._ecs(job).stop_task(cluster=parsed.cluster, task=parsed.task_arn, reason="Stopped by headrace: its flow run is to end.")
        except Exception as error:
            raise (
                _missing(error, parsed) or explained(error, f"The task {parsed.task_arn} cannot be stopped", job.aws_credentials) or error
            ) from error

    def read_logs(self, identifier: str, job: ECSJobConfiguration, after: str | None) -> JobLogs:
        """Return lines of a container's CloudWatch log, if it has one."""
        if not self._settings.observer.forward_crashed_run_logs and not job.stream_output:
            return JobLogs()
        parsed = parse_identifier(identifier)
        place = log_place(job.aws_credentials, parsed.task_arn, self._task(parsed, job)["taskDefinitionArn"], job.container_name)
        if place is None:
            return JobLogs()
        lines, after = read_page(job.aws_credentials, place, after)
        return JobLogs(lines, after)

    def clean_up(self, identifier: str, job: ECSJobConfiguration) -> None:
        """Deregister the task's definition, where that is wanted."""
        if not job.auto_deregister_task_definition or job.task_definition_arn:
            return
        deregister(job.aws_credentials, self._task(parse_identifier(identifier), job)["taskDefinitionArn"])

    def failure_of(self, error: Exception) -> Failure:
        """See `RemoteJobWorker.failure_of`."""
        if isinstance(error, TaskNotPlaced):
            return Failure.BUSY
        return failure_of_sdk(error.__cause__ if isinstance(error, AwsError) else error) or super().failure_of(error)

    def poll_seconds(self, job: ECSJobConfiguration) -> float:
        """See `RemoteJobWorker.poll_seconds`."""
        seconds = job.task_watch_poll_interval or POLL_SECONDS
        return max(seconds, OBSERVED_POLL_SECONDS) if self._observer is not None and self._observer.is_listening else seconds

    def start_timeout_seconds(self, job: ECSJobConfiguration) -> float | None:
        """See `RemoteJobWorker.start_timeout_seconds`."""
        return job.task_start_timeout_seconds or None

    def streams_output(self, job: ECSJobConfiguration) -> bool:
        """See `RemoteJobWorker.streams_output`."""
        return bool(job.stream_output)

    async def pause(self, attempt: int) -> None:
        """Wait before the next try of a call, as the settings say; `retry_seconds` is the unit."""
        given = self._settings.worker
        jitter = random.uniform(given.create_task_run_min_delay_jitter_seconds, given.create_task_run_max_delay_jitter_seconds)
        await asyncio.sleep(self.retry_seconds * (given.create_task_run_min_delay_seconds + jitter))

    # --- what these need

    @staticmethod
    def _ecs(job: ECSJobConfiguration) -> Any:
        return job.aws_credentials.get_client(ClientType.ECS)

    def _task(self, identifier: ECSIdentifier, job: ECSJobConfiguration) -> dict[str, Any]:
        """Return what ECS tells of a task. Raises `InfrastructureNotFound`, and `AwsError`."""
        try:
            answer = self._ecs(job).describe_tasks(cluster=identifier.cluster, tasks=[identifier.task_arn])
        except Exception as error:
            what = f"The task {identifier.task_arn} cannot be asked after"
            raise _missing(error, identifier) or explained(error, what, job.aws_credentials) or error from error
        if not answer["tasks"]:
            raise InfrastructureNotFound(
                f"The cluster {identifier.cluster!r} has no task {identifier.task_arn}; it may have ended an hour ago or more."
            )
        return answer["tasks"][0]


def _exit_code(task: dict[str, Any], job: ECSJobConfiguration) -> int | None:
    """Return the exit code of the container that runs the flow; None when it has none, as when it never started."""
    own = [one for one in containers_of_the_flow(task) if job.container_name in (None, one.get("name"))]
    return own[0].get("exitCode") if own else None


def _made_before(error: Exception) -> str | None:
    """Return the task that a request with this token has made already, which differed in something, as in the worker's name."""
    response: Any = getattr(error, "response", None)
    made = response.get("resourceIds") if code_of(error) == "ConflictException" and isinstance(response, dict) else None
    return made[0] if made else None


def _cluster_of(task_arn: str) -> str:
    """Return the cluster's name in a task's ARN: `…:task/cluster/id`."""
    parts = task_arn.split("/")
    return parts[-2] if len(parts) > 2 else "default"


def _missing(error: Exception, identifier: ECSIdentifier) -> InfrastructureNotFound | None:
    code, text = code_of(error), str(error)
    if code == "ClusterNotFoundException":
        return InfrastructureNotFound(f"There is no cluster {identifier.cluster!r}, so its task {identifier.task_arn} is gone.")
    if code == "InvalidParameterException" and ("not found" in text or "invalid" in text.lower()):
        return InfrastructureNotFound(f"The cluster {identifier.cluster!r} has no task {identifier.task_arn}.")
    return None


def _refusal(error: Exception, request: dict[str, Any], job: ECSJobConfiguration) -> Exception:
    found = explained(error, f"Failed to run the ECS task in the cluster {request.get('cluster', 'default')!r}", job.aws_credentials)
    if found is None:
        return error
    advice = next((what for words, what in _REFUSALS if words.lower() in str(error).lower()), "")
    return AwsError(f"{found} {advice}".strip(), found.code)


def _not_run(failures: list[dict[str, Any]], request: dict[str, Any]) -> AwsError:
    reason = "; ".join(filter(None, [str(failures[0].get("reason", "")), str(failures[0].get("detail", ""))])) if failures else "ECS gives no reason"
    text = f"Failed to run ECS task in the cluster {request.get('cluster', 'default')!r}: {reason}."
    if reason.startswith(_MAY_FIND_PLACE):
        return TaskNotPlaced(f"{text} The cluster has no place for it: add machines, or ask for less `cpu` and `memory`.", reason)
    return AwsError(text, reason)


__all__ = [
    "CapacityProvider",
    "ECSIdentifier",
    "ECSJobConfiguration",
    "ECSVariables",
    "ECSWorker",
    "ECSWorkerResult",
    "mask_api_key",
    "mask_sensitive_env_values",
    "parse_identifier",
]
