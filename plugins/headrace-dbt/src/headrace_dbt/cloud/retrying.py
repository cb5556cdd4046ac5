"""What of a dbt Cloud run is to be run again: its failed commands, narrowed to the nodes that did not succeed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from headrace_dbt.cloud.credentials import DbtCloudCredentials
from headrace_dbt.cloud.exceptions import DbtCloudGetRunArtifactFailed, DbtCloudJobRunIncomplete
from headrace_dbt.cloud.runs import DbtCloudJobRunStatus, read_artifact, read_run

_INVOCATION = re.compile(r"^Invoke dbt with `(?P<command>.+)`$", re.DOTALL)
_NARROWED = frozenset({"build", "run", "test", "seed", "snapshot", "compile", "clone"})
"""The commands that take a selection of nodes and leave run_results.json."""

_SELECTION = frozenset({"--select", "-s", "--models", "--model", "-m", "--exclude", "--selector"})
_UNSUCCESSFUL = frozenset({"error", "fail", "skipped", "runtime error", "partial success"})


async def steps_to_retry(credentials: DbtCloudCredentials, run_id: int) -> list[str]:
    """Return the commands that repeat what did not succeed in a run; none where no command of dbt failed, as when git did.

    Raises `DbtCloudJobRunIncomplete` before the run has ended.
    """
    run = await read_run(credentials, run_id, ["run_steps"])
    if not DbtCloudJobRunStatus.is_terminal_status_code(run.get("status")):
        raise DbtCloudJobRunIncomplete(f"dbt Cloud job run with ID {run_id} has not ended yet. Wait for its completion before you retry it.")
    commands: list[str] = []
    for step in run.get("run_steps") or ():
        found = _INVOCATION.match(step.get("name") or "")
        if found is None or step.get("status") == DbtCloudJobRunStatus.SUCCESS.value:
            continue
        command = await _narrowed(credentials, run_id, found["command"], step.get("index"))
        if command is not None:
            commands.append(command)
    return commands


async def _narrowed(credentials: DbtCloudCredentials, run_id: int, command: str, step: int | None) -> str | None:
    """Return a command with the nodes that did not succeed, whole if it is not known which; None if there are none."""
    words = shlex.split(command)
    if not _NARROWED.intersection(words[:2] if words[:1] == ["dbt"] else words[:1]):
        return command
    try:
        results: Any = await read_artifact(credentials, run_id, "run_results.json", step)
    except DbtCloudGetRunArtifactFailed:
        return command
    names = [_selected(one["unique_id"]) for one in results.get("results", ()) if one.get("status") in _UNSUCCESSFUL]
    if not names:
        return command if not results.get("results") else None
    return shlex.join([*without_selection(words), "--select", *names])


def without_selection(words: Sequence[str]) -> list[str]:
    """Return a command's words without those that select nodes; all others stay as they are."""
    kept: list[str] = []
    skips = False
    for word in words:
        if word.startswith("-"):
            name, has_value, _ = word.partition("=")
            skips = name in _SELECTION and not has_value
            if name not in _SELECTION:
                kept.append(word)
        elif not skips:
            kept.append(word)
    return kept


def _selected(unique_id: str) -> str:
    """Return how dbt's `--select` names a node: `test.shop.unique_id.a1b2` by its name, which all resource types but sources have third."""
    kind, _, rest = unique_id.partition(".")
    parts = rest.split(".")
    if kind == "source":
        return f"source:{'.'.join(parts)}"
    return parts[1] if kind == "test" else ".".join(parts[1:])
