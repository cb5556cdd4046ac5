"""`headrace task-run`: runs of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, output_option
from headrace.cli.runs import (
    call,
    collect,
    complete_flow_runs,
    complete_task_runs,
    limit_option,
    local,
    log_options,
    open_in_browser,
    print_logs,
    read_logs,
    state_cell,
    state_options,
)

if TYPE_CHECKING:
    from headrace.model.task_runs import TaskRun


@click.group("task-run", cls=Group)
def group() -> None:
    """Look at task runs."""


@group.command("ls")
@click.option("--task-run-name", "names", multiple=True, metavar="NAME", help="Only runs of this name. Repeatable.")
@click.option(
    "--flow-run", "flow_run_id", type=click.UUID, shell_complete=complete_flow_runs, default=None, metavar="ID", help="Only runs in this flow run."
)
@state_options
@limit_option(15)
@output_option
def list_task_runs(
    names: tuple[str, ...],
    flow_run_id: UUID | None,
    states: tuple[str, ...],
    state_types: tuple[str, ...],
    limit: int,
    output: str | None,
) -> None:
    """List task runs, newest first."""
    from headrace.model import run_filters as by
    from headrace.model.endpoints.task_runs import FILTER_TASK_RUNS
    from headrace.model.run_queries import TaskRunQuery
    from headrace.model.states import StateType
    from headrace.model.task_runs import TaskRunSort

    chosen = by.TaskRunFilter(
        name=by.TaskRunFilterName(any_=list(names)) if names else None,
        flow_run_id=by.TaskRunFilterFlowRunId(any_=[flow_run_id]) if flow_run_id else None,
        state=by.TaskRunFilterState(
            name=by.TaskRunFilterStateName(any_=list(states)) if states else None,
            type=by.TaskRunFilterStateType(any_=[StateType(kind) for kind in state_types]) if state_types else None,
        ),
    )

    def fetch(offset: int, count: int) -> Sequence[TaskRun]:
        return call(FILTER_TASK_RUNS, TaskRunQuery(task_runs=chosen, sort=TaskRunSort.EXPECTED_START_TIME_DESC, offset=offset, limit=count))

    runs = collect(limit, fetch)
    rows = [(run.id, run.name, state_cell(run.state), local(run.start_time or run.expected_start_time), run.flow_run_id) for run in runs]
    emit(runs, output, (("id", "name", "state", "when", "flow run"), rows))


@group.command()
@click.argument("id", type=click.UUID, shell_complete=complete_task_runs)
@click.option("--web", is_flag=True, help="Open it in the user interface.")
@output_option
def inspect(id: UUID, web: bool, output: str | None) -> None:
    """Show all that is known of the task run ID."""
    from headrace.model.endpoints.task_runs import READ_TASK_RUN

    run = call(READ_TASK_RUN, id=id)
    if web:
        open_in_browser("task-run", run.id)
        return
    emit(run, output)


@group.command()
@click.argument("id", type=click.UUID, shell_complete=complete_task_runs)
@log_options
@output_option
def logs(id: UUID, head: bool, tail: bool, count: int | None, reverse: bool, output: str | None) -> None:
    """Print the log of the task run ID."""
    from headrace.model.endpoints.task_runs import READ_TASK_RUN
    from headrace.model.run_filters import LogFilter, LogFilterTaskRunId

    run = call(READ_TASK_RUN, id=id)
    found = read_logs(LogFilter(task_run_id=LogFilterTaskRunId(any_=[id])), head, tail, count, reverse)
    if output is not None:
        emit(found, output)
        return
    print_logs(found, {run.id: f"Task run {run.name!r}"})
