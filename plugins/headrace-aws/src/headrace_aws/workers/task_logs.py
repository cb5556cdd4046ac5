"""The CloudWatch log of a task's container: where it is, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace_aws.credentials import AwsCredentials, ClientType
from headrace_aws.errors import code_of, explaining
from headrace_aws.workers.task_definitions import container_of

PAGE = 1000
PAGES_MAX = 1000


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where a container writes its output."""

    group: str
    stream: str
    region: str | None


def log_place(credentials: AwsCredentials, task_arn: str, definition_arn: str, container_name: str | None) -> LogPlace | None:
    """Return where a task's container writes its output; None where it writes none to CloudWatch. Raises `AwsError`."""
    with explaining(f"The task definition {definition_arn} cannot be looked at", credentials):
        definition = credentials.get_client(ClientType.ECS).describe_task_definition(taskDefinition=definition_arn)["taskDefinition"]
    container = container_of(definition, container_name)
    log = container.get("logConfiguration") or {}
    options = log.get("options") or {}
    if log.get("logDriver") != "awslogs" or "awslogs-stream-prefix" not in options:
        return None
    stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task_arn.rpartition('/')[2]}"
    return LogPlace(options["awslogs-group"], stream, options.get("awslogs-region"))


def read_page(credentials: AwsCredentials, place: LogPlace, after: str | None) -> tuple[list[str], str | None]:
    """Return lines of a log, from its start or behind `after`, and what to ask with for those that follow. Raises `AwsError`."""
    logs = credentials.get_client("logs", region_name=place.region)
    asked: dict[str, Any] = {"logGroupName": place.group, "logStreamName": place.stream, "startFromHead": True, "limit": PAGE}
    with explaining(f"The log stream {place.stream!r} of {place.group!r} cannot be read", credentials):
        try:
            page = logs.get_log_events(**asked, **({"nextToken": after} if after else {}))
        except Exception as error:
            if code_of(error) == "ResourceNotFoundException":
                return [], after  # nothing was written as yet
            raise
    return [one["message"].rstrip("\n") for one in page["events"]], page["nextForwardToken"]


def last_lines(credentials: AwsCredentials, place: LogPlace, count: int) -> list[str]:
    """Return the last lines of a log. Raises `AwsError`."""
    lines: list[str] = []
    after: str | None = None
    for _ in range(PAGES_MAX):
        page, following = read_page(credentials, place, after)
        lines = [*lines, *page][-count:]
        if not page or following == after:
            break
        after = following
    return lines
