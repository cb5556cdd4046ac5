"""Following a flow run until it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import click

from headrace.cli.exits import TIMED_OUT, status_of_run
from headrace.cli.flow_run import owners, read_flow_run
from headrace.cli.runs import PAGE, call, print_logs

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun
    from headrace.model.logs import Log


def watch_flow_run(run_id: UUID, interval_seconds: float, timeout_seconds: float | None) -> int:
    """Print the log and the states of a flow run until it ends, and return the exit status that its end stands for."""
    from headrace.model import clock

    until = clock.monotonic() + timeout_seconds if timeout_seconds is not None else None
    shown = 0
    last: UUID | None = None
    while True:
        run = read_flow_run(run_id)
        shown += _print_from(run, shown)
        if run.state is not None and run.state.id != last:
            last = run.state.id
            click.echo(f"Flow run {run.name!r} is in state {run.state}", err=True)
        if run.state is not None and run.state.is_final():
            return status_of_run(run.state_type)
        if until is not None and clock.monotonic() + interval_seconds > until:
            click.echo(f"Error: Flow run {run.name!r} has not ended within {timeout_seconds:g} seconds.", err=True)
            return TIMED_OUT
        clock.sleep(interval_seconds)


def _print_from(run: FlowRun, offset: int) -> int:
    from headrace.model.endpoints.logs import FILTER_LOGS
    from headrace.model.run_filters import LogFilter, LogFilterFlowRunId
    from headrace.model.run_queries import LogQuery

    printed = 0
    while True:
        query = LogQuery(logs=LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])), offset=offset + printed, limit=PAGE)
        page: Sequence[Log] = call(FILTER_LOGS, query)
        print_logs(page, owners(run, {log.task_run_id for log in page if log.task_run_id}))
        printed += len(page)
        if len(page) < PAGE:
            return printed
