"""`headrace why`: what holds a run, and the command that would free it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from headrace.cli.render import emit, output_option
from headrace.cli.runs import call, complete_flow_runs, local

if TYPE_CHECKING:
    from headrace.model.holding import Cause, Holding


@click.command("why")
@click.argument("run", shell_complete=complete_flow_runs)
@output_option
def command(run: str, output: str | None) -> None:
    """Tell why RUN does not run: what holds it, since when, who has the slot that it waits for, and the command that would free it.

    RUN is the id of a flow run or of a task run, the name of a flow run, or FLOW/DEPLOYMENT: why a deployment makes no runs.
    """
    found = _find(run)
    if output is not None:
        emit(found, output)
        return
    click.echo(found.summary)
    if found.state_message and not found.causes:
        click.echo(f"  {found.state_message}")
    for cause in found.causes:
        _print(cause)


def _find(run: str) -> Holding:
    from headrace.cli.flow_run import find_flow_run
    from headrace.model.endpoints.holding import WHY_DEPLOYMENT, WHY_FLOW_RUN, WHY_TASK_RUN
    from headrace.model.errors import ObjectNotFound

    if "/" in run:
        from headrace.cli.deployments.finding import find_deployment

        return call(WHY_DEPLOYMENT, id=find_deployment(run).id)
    try:
        id = UUID(run)
    except ValueError:
        return call(WHY_FLOW_RUN, id=find_flow_run(run).id)
    endpoints: tuple[Any, ...] = (WHY_FLOW_RUN, WHY_TASK_RUN, WHY_DEPLOYMENT)
    for endpoint in endpoints:
        try:
            return call(endpoint, id=id)
        except ObjectNotFound:
            continue
    raise ObjectNotFound(help_message=f"No flow run, task run or deployment has the id {id}.")


def _print(cause: Cause) -> None:
    click.echo(f"\n{cause.code}: {cause.message}")
    if cause.since is not None:
        click.echo(f"  since    {local(cause.since)}")
    for holder in cause.holders:
        since = f" since {local(holder.since)}" if holder.since is not None else ""
        click.echo(f"  held by  {holder.kind} {holder.name!r} ({holder.id}), {holder.state_name or 'in an unknown state'}{since}")
    if cause.command is not None:
        click.echo(f"  free it  {cause.command}")
