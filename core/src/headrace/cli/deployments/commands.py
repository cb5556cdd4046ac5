"""`headrace deployment`: flows that a server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.deployments.finding import complete_deployments, find_deployment, flow_names, list_deployments, start_time
from headrace.cli.deployments.schedules import group as schedule_group
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call, complete_flows, local

if TYPE_CHECKING:
    from headrace.model.deployments import Deployment
    from headrace.model.flow_runs import FlowRun


@click.group("deployment", cls=Group)
def group() -> None:
    """Look at deployments, run, pause and delete them, and manage their schedules."""


group.add_command(schedule_group)


@group.command("ls")
@click.argument("flows", nargs=-1, metavar="[FLOW]...", shell_complete=complete_flows)
@click.option("--by-created", is_flag=True, help="The newest first, instead of by name.")
@output_option
def list_(flows: tuple[str, ...], by_created: bool, output: str | None) -> None:
    """List all deployments, or those of each FLOW."""
    found = list_deployments(flows, by_created)
    names = flow_names(found)
    if not by_created:
        found.sort(key=lambda one: (names.get(one.flow_id, ""), one.name))
    rows = [
        (
            f"{names.get(one.flow_id, '?')}/{one.name}",
            one.id,
            one.work_pool_name or "",
            "paused" if one.paused else one.status or "",
            len(one.schedules),
        )
        for one in found
    ]
    emit(found, output, (("name", "id", "work pool", "status", "schedules"), rows))


@group.command()
@click.argument("name", shell_complete=complete_deployments)
@output_option
def inspect(name: str, output: str | None) -> None:
    """Show all that is known of the deployment NAME, given as FLOW/DEPLOYMENT."""
    emit(find_deployment(name), output)


@group.command()
@click.argument("name", required=False, shell_complete=complete_deployments)
@click.option("--id", "id", type=click.UUID, default=None, help="The deployment by its id instead.")
@click.option("-p", "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; VALUE is JSON or text. Repeatable.")
@click.option("--params", "document", default=None, metavar="JSON", help="Parameters as a JSON object; - reads it from stdin.")
@click.option(
    "-jv", "--job-variable", "job_variables", multiple=True, metavar="NAME=VALUE", help="A job variable; VALUE is JSON or text. Repeatable."
)
@click.option("--start-in", default=None, metavar="SPAN", help="Start after a span of time, as 'in 5 minutes'.")
@click.option("--start-at", default=None, metavar="TIME", help="Start at a time, as '5:30pm' or '2024-08-01 17:30'.")
@click.option("--tag", "tags", multiple=True, help="A tag of the run. Repeatable.")
@click.option("--flow-run-name", default=None, help="The name of the run.")
@click.option("--watch", is_flag=True, help="Follow the run until it ends, and exit as it ended.")
@click.option("--watch-interval", type=click.FloatRange(min=0.05), default=1.0, show_default=True, help="Seconds between looks.")
@click.option("--watch-timeout", type=click.FloatRange(min=0), default=None, help="Watch no longer than so many seconds.")
@output_option
@click.pass_context
def run(
    context: click.Context,
    name: str | None,
    id: UUID | None,
    pairs: tuple[str, ...],
    document: str | None,
    job_variables: tuple[str, ...],
    start_in: str | None,
    start_at: str | None,
    tags: tuple[str, ...],
    flow_run_name: str | None,
    watch: bool,
    watch_interval: float,
    watch_timeout: float | None,
    output: str | None,
) -> None:
    """Create a run of the deployment NAME, given as FLOW/DEPLOYMENT: for now, or for a later time.

    Somebody must be there to run it: a worker of its work pool, or the process that serves it. Parameters are checked before there is a run.
    """
    from headrace.cli.running import read_parameters

    given = read_parameters(pairs, document)
    variables = read_parameters(job_variables, None)
    start = start_time(start_in, start_at)
    deployment = find_deployment(name, id)
    _check(deployment, given)
    made = _create(deployment, given, variables, start, tags, flow_run_name)
    if output is not None and not watch:
        emit(made, output)
    else:
        when = f" It starts at {local(start)}." if start is not None else ""
        click.echo(f"Created flow run {made.name!r} ({made.id}).{when}", err=output is not None)
    if not watch:
        click.echo(f"Follow it with `headrace flow-run watch {made.id}`; `headrace why {made.id}` tells what holds it.", err=True)
        return
    from headrace.cli.runs import read_flow_run
    from headrace.cli.watching import watch_flow_run

    status = watch_flow_run(made.id, watch_interval, watch_timeout)
    if output is not None:
        emit(read_flow_run(made.id), output)
    context.exit(status)


def _create(
    deployment: Deployment, parameters: dict[str, Any], variables: dict[str, Any], start: Any, tags: tuple[str, ...], name: str | None
) -> FlowRun:
    from headrace.model.clock import now
    from headrace.model.deployments import DeploymentFlowRunCreate
    from headrace.model.endpoints.deployments import CREATE_RUN_OF_DEPLOYMENT
    from headrace.model.states import StateCreate, StateDetails, StateType

    state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=start or now()))
    body = DeploymentFlowRunCreate(state=state, name=name, parameters=parameters, tags=list(tags), job_variables=variables or None)
    return call(CREATE_RUN_OF_DEPLOYMENT, body, id=deployment.id)


def _check(deployment: Deployment, parameters: dict[str, Any]) -> None:
    """End the command for a parameter that the flow does not have. The values are checked by the server."""
    from headrace.model.errors import near

    properties: dict[str, Any] = (deployment.parameter_openapi_schema or {}).get("properties") or {}
    unknown = [name for name in parameters if name not in properties]
    if unknown and properties:
        fail(
            f"Deployment {deployment.name!r} has no parameter {unknown[0]!r}. {near(unknown[0], properties)}".rstrip(),
            f"Its parameters: {', '.join(properties)}.",
        )


@group.command()
@click.argument("name", required=False, shell_complete=complete_deployments)
@click.option("--id", "id", type=click.UUID, default=None, help="The deployment by its id instead.")
@click.option("--all", "everything", is_flag=True, help="All deployments.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(name: str | None, id: UUID | None, everything: bool, yes: bool) -> None:
    """Delete the deployment NAME, given as FLOW/DEPLOYMENT, with its schedules. Its runs stay."""
    from headrace.model.endpoints.deployments import DELETE_DEPLOYMENT

    if everything:
        if name is not None or id is not None:
            raise click.UsageError("--all excludes a name and --id.")
        found = list_deployments()
        what = f"all {len(found)} deployments"
    else:
        found = [find_deployment(name, id)]
        what = f"deployment {name or str(id)!r}"
    if not found:
        click.echo("There are no deployments.")
        return
    confirm_delete(what, yes)
    for one in found:
        call(DELETE_DEPLOYMENT, id=one.id)
    click.echo(f"Deleted {what}.")


@group.command()
@click.argument("name", shell_complete=complete_deployments)
def pause(name: str) -> None:
    """Pause the deployment NAME: its schedules make no more runs, and those that they made and that have not begun are deleted."""
    from headrace.model.endpoints.deployments import PAUSE_DEPLOYMENT

    call(PAUSE_DEPLOYMENT, id=find_deployment(name).id)
    click.echo(f"Paused deployment {name!r}.")


@group.command()
@click.argument("name", shell_complete=complete_deployments)
def resume(name: str) -> None:
    """Have the schedules of the deployment NAME make runs again."""
    from headrace.model.endpoints.deployments import RESUME_DEPLOYMENT

    call(RESUME_DEPLOYMENT, id=find_deployment(name).id)
    click.echo(f"Resumed deployment {name!r}.")
