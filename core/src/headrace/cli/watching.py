"""Following a flow run until it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import click

from headrace.cli.exits import TIMED_OUT, status_of_run
from headrace.cli.runs import call, collect, owners_of, print_logs, read_flow_run

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun
    from headrace.model.logs import Log

SETTLE_SECONDS = 0.3  # a process writes its last lines right after its last state
LATE_BY_MAX = timedelta(seconds=5)
LINES_MAX = 10_000


def watch_flow_run(run_id: UUID, interval_seconds: float, timeout_seconds: float | None) -> int:
    """Print the log and the states of a flow run until it ends, and return the exit status that its end stands for."""
    from headrace.model import clock

    until = clock.monotonic() + timeout_seconds if timeout_seconds is not None else None
    lines = _NewLines(run_id)
    last: UUID | None = None
    while True:
        run = read_flow_run(run_id)
        lines.show(run)
        ended = run.state is not None and run.state.is_final()
        if ended and last is not None:
            clock.sleep(SETTLE_SECONDS)
            lines.show(run)
        if run.state is not None and run.state.id != last:
            last = run.state.id
            click.echo(f"Flow run {run.name!r} is in state {run.state}", err=True)
        if ended:
            return status_of_run(run.state_type)
        if until is not None and clock.monotonic() + interval_seconds > until:
            click.echo(f"Error: Flow run {run.name!r} has not ended within {timeout_seconds:g} seconds.", err=True)
            return TIMED_OUT
        clock.sleep(interval_seconds)


class _NewLines:
    """The log lines of a run that were not fetched before, also those that arrive late from another process."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        self._since: datetime | None = None
        self._seen: dict[UUID, datetime] = {}

    def show(self, run: FlowRun) -> None:
        """Print them."""
        fresh = self._fetch()
        print_logs(fresh, owners_of(run, {log.task_run_id for log in fresh if log.task_run_id}))

    def _fetch(self) -> list[Log]:
        from headrace.model.endpoints.logs import FILTER_LOGS
        from headrace.model.run_filters import LogFilter, LogFilterFlowRunId, LogFilterTimestamp
        from headrace.model.run_queries import LogQuery

        chosen = LogFilter(
            flow_run_id=LogFilterFlowRunId(any_=[self._run_id]),
            timestamp=LogFilterTimestamp(after_=self._since) if self._since is not None else None,
        )

        def page(offset: int, count: int) -> Sequence[Log]:
            return call(FILTER_LOGS, LogQuery(logs=chosen, offset=offset, limit=count))

        fresh = [log for log in collect(LINES_MAX, page) if log.id not in self._seen]
        if fresh:
            self._since = max(log.timestamp for log in fresh) - LATE_BY_MAX
            self._seen |= {log.id: log.timestamp for log in fresh}
            self._seen = {log_id: at for log_id, at in self._seen.items() if at >= self._since}
        return fresh
