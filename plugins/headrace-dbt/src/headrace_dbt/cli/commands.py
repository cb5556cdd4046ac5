"""Module containing tasks and flows for interacting with dbt CLI."""

from __future__ import annotations

import logging
import shlex
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace import get_run_logger
from headrace.artifacts import create_markdown_artifact
from headrace.logging import get_logger
from headrace_dbt.calls import AwaitedTask, EitherTask
from headrace_dbt.cli.credentials import DbtCliProfile
from headrace_dbt.cli.operation import DbtCoreOperation, DbtProcess
from headrace_dbt.cli.profiles_file import prepared_profiles_dir
from headrace_dbt.cli.summary import consolidate_run_results, create_summary_markdown
from headrace_dbt.utilities import command_of, long_options

if TYPE_CHECKING:
    from headrace_dbt.sdk import dbtRunnerResult

__all__ = [
    "DbtCoreOperation",
    "DbtProcess",
    "arun_dbt_build",
    "arun_dbt_model",
    "arun_dbt_seed",
    "arun_dbt_snapshot",
    "arun_dbt_source_freshness",
    "arun_dbt_test",
    "atrigger_dbt_cli_command",
    "consolidate_run_results",
    "create_summary_markdown",
    "dbt_build_task",
    "run_dbt_build",
    "run_dbt_model",
    "run_dbt_seed",
    "run_dbt_snapshot",
    "run_dbt_source_freshness",
    "run_dbt_test",
    "trigger_dbt_cli_command",
]

FAILURES_LISTED_MAX = 20
"""How many failed nodes an error lists; the summary and the log have all."""


def _logger() -> Any:
    try:
        return get_run_logger()
    except RuntimeError:  # no run is active
        return get_logger("dbt")


def _trigger(
    command: str,
    profiles_dir: Path | str | None = None,
    project_dir: Path | str | None = None,
    overwrite_profiles: bool = False,
    dbt_cli_profile: DbtCliProfile | None = None,
    create_summary_artifact: bool = False,
    summary_artifact_key: str | None = "dbt-cli-command-summary",
    extra_command_args: list[str] | None = None,
    stream_output: bool = True,
) -> dbtRunnerResult | None:
    """Run a dbt command in this process and return dbt's result.

    `command` is as on the command line, with or without `dbt` before it; `extra_command_args` come after it. `profiles_dir`: where profiles.yml
    is, default `DBT_PROFILES_DIR`, else `~/.dbt`; the file is written from `dbt_cli_profile` when there is none, or with `overwrite_profiles`.
    `project_dir`: where dbt_project.yml is, default the current directory or one above it. `create_summary_artifact` publishes what came of each
    node under `summary_artifact_key`. `stream_output` logs dbt's output as it happens.

    Raises `ValueError` when a profile is needed and not given, or given while profiles.yml exists and is not to be overwritten, and
    `RuntimeError` when dbt cannot run the command or nodes fail, so that the task's run fails.

    Example:
        ```python
        from headrace import flow
        from headrace_dbt.cli.commands import trigger_dbt_cli_command

        @flow
        def trigger_dbt_cli_command_flow():
            return trigger_dbt_cli_command("dbt debug")
        ```
    """
    words = shlex.split(command)
    if words[:1] == ["dbt"]:
        words = words[1:]
    if not words:
        raise ValueError("The command names nothing that dbt could do. Give one as 'dbt build'.")
    title = f"dbt {command.strip().removeprefix('dbt ').strip()}"
    words += extra_command_args or []
    given = long_options(words)
    if command_of(words):  # `dbt --version` takes none of these
        if "--profiles-dir" not in given:
            words += ["--profiles-dir", str(prepared_profiles_dir(profiles_dir, overwrite_profiles, dbt_cli_profile))]
        if project_dir is not None and "--project-dir" not in given:
            words += ["--project-dir", str(Path(project_dir).expanduser())]
        if not given & {"--log-level", "--quiet"}:
            words += ["--log-level", "none"]
    from headrace_dbt.core.invocation import invoke, turn

    logger = _logger()
    logger.info("Running dbt command: %s", title)
    with turn(logger):
        result = invoke(words, [_streaming(logger)] if stream_output else [])
    if create_summary_artifact and getattr(result.result, "results", None) is not None:
        text = create_summary_markdown(consolidate_run_results(result), title)
        create_markdown_artifact(text, key=summary_artifact_key)
    _check(result, title)
    return result


def _streaming(logger: Any) -> Any:
    from headrace_dbt.core.events import LEVELS, text_of

    context = copy_context()  # dbt's threads know of no run

    def hear(event: Any) -> None:
        level = LEVELS.get(event.info.level, logging.INFO)
        if logger.isEnabledFor(level) and (text := text_of(event)).strip():
            context.copy().run(logger.log, level, "%s", text)

    return hear


def _check(result: dbtRunnerResult, title: str) -> None:
    if result.exception is not None:
        from headrace_dbt.core.invocation import told

        raise RuntimeError(f"{title} could not be run: {told(result.exception)}") from result.exception
    if result.success:
        return
    groups = consolidate_run_results(result)
    failed = [*groups["Error"], *groups["Fail"]]
    if not failed:
        raise RuntimeError(f"{title} did not succeed; its output says why.")
    listed = [f"{one.node.resource_type} {one.node.name}: {one.status}: {one.message}" for one in failed[:FAILURES_LISTED_MAX]]
    more = f"\nand {len(failed) - len(listed)} more" if len(failed) > len(listed) else ""
    raise RuntimeError(f"{title} failed for {len(failed)} of its nodes:\n" + "\n".join(listed) + more)


def _named(name: str, function: Any) -> Any:
    function.__name__ = function.__qualname__ = name
    return function


trigger_dbt_cli_command = EitherTask(_named("trigger_dbt_cli_command", _trigger))
atrigger_dbt_cli_command = AwaitedTask(_trigger, name="atrigger_dbt_cli_command")


def _task_of(command: str, name: str, key: str, does: str) -> tuple[EitherTask[Any, Any], AwaitedTask[Any, Any]]:
    """Make the two tasks of one command, blocking and awaited."""

    def run(
        profiles_dir: Path | str | None = None,
        project_dir: Path | str | None = None,
        overwrite_profiles: bool = False,
        dbt_cli_profile: DbtCliProfile | None = None,
        create_summary_artifact: bool = False,
        summary_artifact_key: str = key,
        extra_command_args: list[str] | None = None,
        stream_output: bool = True,
    ) -> dbtRunnerResult | None:
        return _trigger(
            command, profiles_dir, project_dir, overwrite_profiles, dbt_cli_profile, create_summary_artifact, summary_artifact_key,
            extra_command_args, stream_output,
        )  # fmt: skip

    run.__doc__ = (
        f"{does}: execute `dbt {command}` within a task, and publish a summary with `create_summary_artifact`.\n\n"
        "The arguments are those of `trigger_dbt_cli_command`. Raises `ValueError` when a profile is needed and not given, and\n"
        "`RuntimeError` when dbt fails."
    )
    run.__module__ = __name__
    _named(name, run)
    return EitherTask(run), AwaitedTask(run, name=f"a{name}")


run_dbt_build, arun_dbt_build = _task_of("build", "run_dbt_build", "dbt-build-task-summary", "Build models, tests, seeds and snapshots")
run_dbt_model, arun_dbt_model = _task_of("run", "run_dbt_model", "dbt-run-task-summary", "Run models")
run_dbt_test, arun_dbt_test = _task_of("test", "run_dbt_test", "dbt-test-task-summary", "Run tests")
run_dbt_snapshot, arun_dbt_snapshot = _task_of("snapshot", "run_dbt_snapshot", "dbt-snapshot-task-summary", "Take snapshots")
run_dbt_seed, arun_dbt_seed = _task_of("seed", "run_dbt_seed", "dbt-seed-task-summary", "Load seeds")
run_dbt_source_freshness, arun_dbt_source_freshness = _task_of(
    "source freshness", "run_dbt_source_freshness", "dbt-source-freshness-task-summary", "Look how fresh sources are"
)
dbt_build_task = run_dbt_build
"""The name that the documented guide gives the task."""
