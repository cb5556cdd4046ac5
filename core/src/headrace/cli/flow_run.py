"""`headrace flow-run`: runs of flows. Watching and running again are in `watching` and `running`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.exits import REFUSED
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option, yes_option
from headrace.cli.runs import (
    PAGE,
    Since,
    call,
    collect,
    complete_flow_runs,
    complete_flows,
    limit_option,
    local,
    log_options,
    open_in_browser,
    owners_of,
    print_logs,
    read_flow_run,
    read_logs,
    state_cell,
    state_options,
)

if TYPE_CHECKING:
    from headrace.model.flow_runs import FlowRun
    from headrace.model.run_filters import FlowFilter, FlowRunFilter


@click.group("flow-run", cls=Group)
def group() -> None:
    """Look at flow runs, watch, cancel, retry and delete them."""


@group.command("ls")
@click.option("--flow-name", "flow_names", multiple=True, metavar="NAME", shell_complete=complete_flows, help="Only runs of this flow. Repeatable.")
@click.option("--name", "name_part", default=None, metavar="TEXT", help="Only runs whose name contains TEXT.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only runs with this tag. Repeatable: with all of them.")
@click.option("--since", type=Since(), default=None, metavar="WHEN", help="Only runs expected since: 2h, 30m, 7d, or a date.")
@state_options
@limit_option(15)
@output_option
def list_flow_runs(
    flow_names: tuple[str, ...],
    name_part: str | None,
    tags: tuple[str, ...],
    since: datetime | None,
    states: tuple[str, ...],
    state_types: tuple[str, ...],
    limit: int,
    output: str | None,
) -> None:
    """List flow runs, newest first."""
    from headrace.model import run_filters as by
    from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
    from headrace.model.flow_runs import FlowRunSort
    from headrace.model.run_queries import FlowRunQuery
    from headrace.model.states import StateType

    flows = by.FlowFilter(name=by.FlowFilterName(any_=list(flow_names))) if flow_names else None
    chosen = by.FlowRunFilter(
        name=by.FlowRunFilterName(like_=name_part) if name_part else None,
        tags=by.FlowRunFilterTags(all_=list(tags)) if tags else None,
        expected_start_time=by.FlowRunFilterExpectedStartTime(after_=since) if since else None,
        state=by.FlowRunFilterState(
            name=by.FlowRunFilterStateName(any_=list(states)) if states else None,
            type=by.FlowRunFilterStateType(any_=[StateType(kind) for kind in state_types]) if state_types else None,
        ),
    )

    def fetch(offset: int, count: int) -> Sequence[FlowRun]:
        query = FlowRunQuery(flows=flows, flow_runs=chosen, sort=FlowRunSort.EXPECTED_START_TIME_DESC, offset=offset, limit=count)
        return call(FILTER_FLOW_RUNS, query)

    if flows is not None and not _flows_exist(flows, flow_names):
        return
    runs = collect(limit, fetch)
    names = {} if output is not None else _flow_names(runs)
    rows = [(run.id, names.get(run.flow_id), run.name, state_cell(run.state), local(run.start_time or run.expected_start_time)) for run in runs]
    emit(runs, output, (("id", "flow", "name", "state", "when"), rows))


def _flow_names(runs: Sequence[FlowRun]) -> dict[UUID, str]:
    from headrace.model.endpoints.flows import FILTER_FLOWS
    from headrace.model.run_filters import FlowFilter, FlowFilterId
    from headrace.model.run_queries import FlowQuery

    wanted = list(dict.fromkeys(run.flow_id for run in runs))
    named: dict[UUID, str] = {}
    for start in range(0, len(wanted), PAGE):
        chosen = FlowFilter(id=FlowFilterId(any_=wanted[start : start + PAGE]))
        named |= {flow.id: flow.name for flow in call(FILTER_FLOWS, FlowQuery(flows=chosen))}
    return named


def _flows_exist(flows: FlowFilter, wanted: Sequence[str]) -> bool:
    from headrace.model.endpoints.flows import FILTER_FLOWS
    from headrace.model.errors import near
    from headrace.model.run_queries import FlowQuery

    found = {flow.name for flow in call(FILTER_FLOWS, FlowQuery(flows=flows))}
    missing = [name for name in wanted if name not in found]
    if missing:
        known = [flow.name for flow in call(FILTER_FLOWS, FlowQuery())]
        fail(f"There is no flow {missing[0]!r}.", near(missing[0], known) or "`headrace flow ls` lists the flows.", code=4)
    return True


@group.command()
@click.argument("id", type=click.UUID, shell_complete=complete_flow_runs)
@click.option("--web", is_flag=True, help="Open it in the user interface.")
@output_option
def inspect(id: UUID, web: bool, output: str | None) -> None:
    """Show all that is known of the flow run ID."""
    run = read_flow_run(id)
    if web:
        open_in_browser("flow-run", run.id)
        return
    emit(run, output)


@group.command()
@click.argument("id", type=click.UUID, shell_complete=complete_flow_runs)
@log_options
@output_option
def logs(id: UUID, head: bool, tail: bool, count: int | None, reverse: bool, output: str | None) -> None:
    """Print the log of the flow run ID, with the lines of its task runs."""
    from headrace.model.run_filters import LogFilter, LogFilterFlowRunId

    run = read_flow_run(id)
    found = read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[id])), head, tail, count, reverse)
    if output is not None:
        emit(found, output)
        return
    print_logs(found, owners_of(run, {log.task_run_id for log in found if log.task_run_id}))


@group.command()
@click.argument("id", type=click.UUID, shell_complete=complete_flow_runs)
@yes_option
@output_option
def delete(id: UUID, yes: bool, output: str | None) -> None:
    """Delete the flow run ID, with its task runs and logs."""
    from headrace.model.endpoints.flow_runs import DELETE_FLOW_RUN

    run = read_flow_run(id)
    confirm_delete(f"flow run {run.name!r}", yes)
    call(DELETE_FLOW_RUN, id=id)
    if output is not None:
        emit(run, output)
        return
    click.echo(f"Deleted flow run {run.name!r}.")


@group.command()
@click.argument("id", type=click.UUID, shell_complete=complete_flow_runs)
@output_option
def cancel(id: UUID, output: str | None) -> None:
    """Cancel the flow run ID.

    A run that has not started is cancelled at once. One that is running is marked, and ends when its process sees the mark.
    """
    from headrace.model.endpoints.flow_runs import SET_FLOW_RUN_STATE
    from headrace.model.orchestration import SetState, SetStateStatus
    from headrace.model.states import StateCreate, StateType

    run = read_flow_run(id)
    answer = call(SET_FLOW_RUN_STATE, SetState(state=StateCreate(type=StateType.CANCELLING)), id=id)
    state = answer.state
    if answer.status is SetStateStatus.ABORT or state is None or state.type not in (StateType.CANCELLED, StateType.CANCELLING):
        reason = getattr(answer.details, "reason", None) or f"It is {state_cell(run.state)}."
        fail(f"Flow run {run.name!r} cannot be cancelled: {reason}", code=REFUSED)
    if output is not None:
        emit(read_flow_run(id), output)
        return
    done = state.type is StateType.CANCELLED
    click.echo(f"Flow run {run.name!r} {'is cancelled' if done else 'is being cancelled; it ends when its process sees it'}.")


@group.command()
@click.argument("id", type=click.UUID, shell_complete=complete_flow_runs)
@click.option("--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between looks.")
@click.option("--timeout", type=click.FloatRange(min=0), default=None, help="Give up after this many seconds, with exit status 8.")
@click.pass_context
def watch(context: click.Context, id: UUID, interval: float, timeout: float | None) -> None:
    """Print the log of the flow run ID while it runs, until it ends.

    Exits with 0 if it completed, 6 if it was cancelled, 8 if the timeout passed, else 1.
    """
    from headrace.cli.watching import watch_flow_run

    context.exit(watch_flow_run(id, interval, timeout))


@group.command()
@click.argument("id_or_name", shell_complete=complete_flow_runs)
@click.option("-e", "--entrypoint", default=None, metavar="FILE:FLOW", help="Where the flow is, to run it here.")
@output_option
@click.pass_context
def retry(context: click.Context, id_or_name: str, entrypoint: str | None, output: str | None) -> None:
    """Run the flow run ID_OR_NAME again: here and now, with the flow at --entrypoint and the run's parameters.

    Exits with 0 if it completed, else 1. A name that several runs have is refused.
    """
    from headrace.cli.running import conclude, load, retry_flow_run

    run = find_flow_run(id_or_name)
    if run.state is None or not run.state.is_final():
        fail(f"Flow run {run.name!r} cannot be retried: it is {state_cell(run.state)}, and has not ended.")
    if entrypoint is None:
        fail(
            f"Flow run {run.name!r} has no deployment, so headrace does not know where its flow is.",
            f"Say where: headrace flow-run retry {run.id} --entrypoint path/to/file.py:flow",
        )
    context.exit(conclude(retry_flow_run(load(entrypoint), run), output))


@group.command()
@click.argument("id", type=click.UUID, required=False, shell_complete=complete_flow_runs)
@click.pass_context
def execute(context: click.Context, id: UUID | None) -> None:
    """Run the flow run ID in this process, as the infrastructure of a worker does; without ID the one that HEADRACE__FLOW_RUN_ID names.

    Its code is found by its deployment. Exits with 0 when the run's end was reported, whatever it was, and with 1 when its flow cannot be found.
    """
    import os

    from headrace.flow_engine import run_flow_run_of_environment
    from headrace.settings.environment import internal_name, internal_variable

    if id is not None:
        os.environ[internal_name("FLOW_RUN_ID")] = str(id)
    elif internal_variable("FLOW_RUN_ID") is None:
        raise click.UsageError(f"Nothing says which flow run to run: give its ID, or set {internal_name('FLOW_RUN_ID')} to it.")
    context.exit(run_flow_run_of_environment())


def find_flow_run(id_or_name: str) -> FlowRun:
    """Return the flow run of that id or name. Ends the command when there is none, or several."""
    from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
    from headrace.model.run_queries import FlowRunQuery

    try:
        return read_flow_run(UUID(id_or_name))
    except ValueError:
        found = call(FILTER_FLOW_RUNS, FlowRunQuery(flow_runs=_of_name(id_or_name)))
    if not found:
        fail(f"There is no flow run {id_or_name!r}.", "`headrace flow-run ls` lists the latest runs.", code=4)
    if len(found) > 1:
        fail(f"{len(found)} flow runs are named {id_or_name!r}.", f"Give the id of one: {', '.join(str(run.id) for run in found[:5])}")
    return found[0]


def _of_name(name: str) -> FlowRunFilter:
    from headrace.model.run_filters import FlowRunFilter, FlowRunFilterName

    return FlowRunFilter(name=FlowRunFilterName(any_=[name]))
