"""What came of the nodes of a command, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_dbt.sdk import dbtRunnerResult

_GROUPS = {
    "success": "Success", "pass": "Success", "fail": "Fail", "error": "Error", "runtime error": "Error", "partial success": "Error",
    "skipped": "Skipped", "warn": "Warn", "no-op": "Skipped",
}  # fmt: skip
_TITLES = {"Success": "Successes", "Error": "Errors", "Fail": "Failures", "Skipped": "Skips", "Warn": "Warnings"}
CODE_LENGTH_MAX = 10_000
"""How much of a node's compiled code a summary shows."""


def consolidate_run_results(results: dbtRunnerResult) -> dict[str, list[Any]]:
    """Return dbt's results of single nodes by what came of them: under `Success`, `Error`, `Fail`, `Skipped` and `Warn`."""
    groups: dict[str, list[Any]] = {name: [] for name in _TITLES}
    for one in getattr(results.result, "results", None) or ():
        groups[_GROUPS.get(str(one.status), "Success")].append(one)
    return groups


def create_summary_markdown(run_results: dict[str, Any], command: str) -> str:
    """Return a summary of what `consolidate_run_results` gives: a table of counts, then each node that did not succeed.

    `command` stands in the title, as `dbt build`. Compiled code is shown up to 10,000 characters a node.
    """
    lines = [f"# {command} Task Summary", "", f"| {' | '.join(_TITLES.values())} |", "| :---: " * len(_TITLES) + "|"]
    lines += [f"| {' | '.join(str(len(run_results.get(name, ()))) for name in _TITLES)} |", ""]
    unsuccessful = [one for name in ("Error", "Fail", "Skipped", "Warn") for one in run_results.get(name, ())]
    if not unsuccessful:
        return "\n".join([*lines, "All nodes were successful.", ""])
    lines += ["## Unsuccessful Nodes", ""]
    for one in unsuccessful:
        lines += _told(one)
    if run_results.get("Success"):
        lines += ["## Successful Nodes", "", *[f"- {one.node.name}" for one in run_results["Success"]], ""]
    return "\n".join(lines)


def _told(result: Any) -> list[str]:
    node = result.node
    message = str(result.message or "None").replace("`", "'")
    lines = [f"**{node.name}**", "", f"Type: {node.resource_type}", "", f"Status: {result.status}", "", "Message:", "", "```", message, "```", ""]
    path = getattr(node, "path", None) or getattr(node, "original_file_path", None)
    if path:
        lines += [f"Path: {path}", ""]
    code = getattr(node, "compiled_code", None)
    if code and str(result.status) != "skipped":
        lines += ["Compiled code:", "", "```sql", code.strip()[:CODE_LENGTH_MAX], "```", ""]
    return lines
