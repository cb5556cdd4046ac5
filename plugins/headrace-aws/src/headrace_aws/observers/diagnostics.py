"""What a stopped ECS task tells of what went wrong, in words. Pure."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class InfrastructureDiagnosis:
    """Why a task ended, and what to do about it. `level` is that of the log line."""

    level: int
    summary: str
    detail: str
    resolution: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.summary, self.detail, self.resolution) if part)


_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r"CannotPullContainerError|CannotPullImageManifestError|CannotPullECRContainerError|pull image",
        "The container's image could not be pulled.",
        "Check the image's name and tag, the execution role's permission to pull it, and the task's way to the registry (NAT, endpoint).",
    ),
    (
        r"unable to pull secrets or registry auth|unable to retrieve secret|ResourceInitializationError.*secret",
        "A secret could not be read.",
        "Check the ARN, the execution role's permission to read it (and to decrypt it), and the task's way to Secrets Manager.",
    ),
    (
        r"CreateLogStream|CreateLogGroup|failed to validate logger|log group|CannotStartContainerError.*log",
        "The container's log could not be opened.",
        "Allow the execution role `logs:CreateLogStream`, `logs:PutLogEvents` and, for a new group, `logs:CreateLogGroup`.",
    ),
    (r"OutOfMemoryError|OutOfMemory", "The container used more memory than it has.", "Give it more `memory`, or have the flow use less."),
    (
        r"RESOURCE:|no container instance|Capacity is unavailable",
        "There was no place for the task.",
        "Add capacity, or ask for less `cpu` and `memory`.",
    ),
    (
        r"ResourceInitializationError",
        "The task could not be set up.",
        "Check its subnets, security groups and routes, and the permissions of its execution role.",
    ),
    (
        r"CannotStartContainerError|CannotCreateContainerError|ContainerRuntimeError",
        "The container could not be started.",
        "Check its command and image.",
    ),
    (r"[Ss]caling activity|Host EC2|instance.*terminated", "The machine under the task went away.", "Run it again."),
)
_ORDINARY = "Essential container in task exited"
_STOP_CODES = {
    "SpotInterruption": ("AWS took the Spot capacity back.", "Run it again, or use a launch type that is not interrupted."),
    "TerminationNotice": ("The machine under the task was shut down.", "Run it again."),
    "ServiceSchedulerInitiated": ("The service that the task belongs to stopped it.", ""),
}


def diagnose_ecs_task(event_detail: dict[str, Any]) -> InfrastructureDiagnosis | None:
    """Return why a task ended badly, by what `DescribeTasks` or an event tells of it; None for one that has not, or that was stopped on purpose."""
    if event_detail.get("lastStatus") != "STOPPED" and event_detail.get("desiredStatus") != "STOPPED":
        return None
    containers: list[dict[str, Any]] = event_detail.get("containers") or []
    reasons = [event_detail.get("stoppedReason"), *(one.get("reason") for one in containers)]
    told = "; ".join(reason for reason in reasons if reason and reason != _ORDINARY)
    for pattern, summary, resolution in _REASONS:
        if re.search(pattern, told):
            return InfrastructureDiagnosis(logging.ERROR, summary, _sentence(told), resolution)
    code = event_detail.get("stopCode") or ""
    if code in _STOP_CODES:
        summary, resolution = _STOP_CODES[code]
        return InfrastructureDiagnosis(logging.WARNING, summary, _sentence(told), resolution)
    if code == "TaskFailedToStart":
        return InfrastructureDiagnosis(logging.ERROR, "The task did not start.", _sentence(told), "Look at its stopped reason in the ECS console.")
    return _by_exit_code(containers, told)


def _by_exit_code(containers: list[dict[str, Any]], told: str) -> InfrastructureDiagnosis | None:
    failed = [one for one in containers if one.get("exitCode")]
    if not failed:
        return None
    names = ", ".join(f"{one.get('name')!r} with {one['exitCode']}" for one in failed)
    if any(one["exitCode"] == 137 for one in failed):
        resolution = "137 means that it was killed, as a rule for using too much memory: give it more `memory`."
    elif any(one["exitCode"] in (126, 127) for one in failed):
        resolution = "126 and 127 mean that its command is not in the image, or cannot be run: check `command` and `image`."
    else:
        resolution = "Its output tells why; with `configure_cloudwatch_logs` it is kept, and shown here when the run never began."
    return InfrastructureDiagnosis(logging.ERROR, f"The container exited: {names}.", _sentence(told), resolution)


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text}." if text and not text.endswith((".", "!", "?")) else text
