"""`headrace deployment schedule`: when a deployment runs by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.deployments.finding import complete_deployments, find_deployment, list_deployments
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call

if TYPE_CHECKING:
    from headrace.model.deployments import Deployment
    from headrace.model.schedules import DeploymentSchedule


@click.group("schedule", cls=Group)
def group() -> None:
    """Look at the schedules of deployments, add, pause, resume and delete them."""


@group.command()
@click.argument("name", shell_complete=complete_deployments)
@click.option("--interval", type=click.FloatRange(min=0, min_open=True), default=None, help="Run every so many seconds.")
@click.option("--anchor-date", default=None, metavar="TIME", help="A time that an interval counts from.")
@click.option("--rrule", default=None, metavar="TEXT|JSON", help='An RFC 5545 rule, or {"rrule": …, "timezone": …}.')
@click.option("--cron", default=None, metavar="TEXT", help="A cron expression, as '0 6 * * *'.")
@click.option("--day_or/--no-day_or", "--day-or/--no-day-or", "day_or", default=True, help="Of a cron day and weekday: either, or both.")
@click.option("--timezone", default=None, help="The time zone, as Europe/Berlin.")
@click.option("--active/--no-active", default=True, help="Whether the schedule makes runs.")
@click.option("--replace", is_flag=True, help="Drop the other schedules of the deployment.")
@click.option("-y", "--yes", "--accept-yes", is_flag=True, help="Do not ask.")
@output_option
def create(
    name: str,
    interval: float | None,
    anchor_date: str | None,
    rrule: str | None,
    cron: str | None,
    day_or: bool,
    timezone: str | None,
    active: bool,
    replace: bool,
    yes: bool,
    output: str | None,
) -> None:
    """Add a schedule to the deployment NAME: exactly one of --interval, --cron and --rrule."""
    from headrace.model.endpoints.deployments import CREATE_SCHEDULES, DELETE_SCHEDULE
    from headrace.model.schedules import DeploymentScheduleCreate

    schedule = _schedule(interval, anchor_date, rrule, cron, day_or, timezone)
    deployment = find_deployment(name)
    others = _schedules(deployment) if replace else []
    if others:
        confirm_delete(f"the {len(others)} schedules that deployment {name!r} has", yes)
    [made] = call(CREATE_SCHEDULES, [DeploymentScheduleCreate(schedule=schedule, active=active)], id=deployment.id)
    for one in others:
        call(DELETE_SCHEDULE, id=deployment.id, schedule_id=one.id)
    if output is not None:
        emit(made, output)
    else:
        click.echo(f"Added schedule {made.id} to deployment {name!r}: {describe(made)}.")


def _schedule(interval: float | None, anchor_date: str | None, rrule: str | None, cron: str | None, day_or: bool, timezone: str | None) -> Any:
    from pydantic import ValidationError

    from headrace.model.schedules import construct_schedule

    if sum(one is not None for one in (interval, rrule, cron)) != 1:
        raise click.UsageError("Give exactly one of --interval, --cron and --rrule.")
    if rrule is not None and rrule.lstrip().startswith("{"):
        try:
            given: dict[str, Any] = json.loads(rrule)
        except json.JSONDecodeError as error:
            raise click.BadParameter(f"It is no valid JSON: {error}", param_hint="--rrule") from error
        if timezone is not None and given.get("timezone") not in (None, timezone):
            raise click.UsageError(f"--timezone {timezone} contradicts the one of the rule, {given['timezone']}.")
        rrule, timezone = given.get("rrule"), timezone or given.get("timezone")
    try:
        made = construct_schedule(interval=interval, anchor_date=anchor_date, cron=cron, rrule=rrule, timezone=timezone)
    except ValidationError as error:
        fail("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors()), code=2)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return made.model_copy(update={"day_or": day_or}) if cron is not None else made


@group.command("ls")
@click.argument("name", shell_complete=complete_deployments)
@output_option
def list_(name: str, output: str | None) -> None:
    """List the schedules of the deployment NAME."""
    found = _schedules(find_deployment(name))
    rows = [(one.id, describe(one), "yes" if one.active else "no", one.slug or "") for one in found]
    emit(found, output, (("id", "schedule", "active", "slug"), rows))


@group.command("next")
@click.argument("name", shell_complete=complete_deployments)
@click.option("-n", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many times.")
@output_option
def next_(name: str, count: int, output: str | None) -> None:
    """Print the coming times of the active schedules of the deployment NAME."""
    from headrace.model.clock import now
    from headrace.rules.schedules import dates

    coming = sorted({moment for one in _schedules(find_deployment(name)) if one.active for moment in dates(one.schedule, now(), count)})
    emit([moment.isoformat() for moment in coming[:count]], output, (("time",), [(moment.isoformat(" "),) for moment in coming[:count]]))


@group.command()
@click.argument("name", shell_complete=complete_deployments)
@click.argument("schedule_id", type=click.UUID)
@click.option("-y", "--yes", "--accept-yes", is_flag=True, help="Do not ask.")
def delete(name: str, schedule_id: UUID, yes: bool) -> None:
    """Delete the schedule SCHEDULE_ID of the deployment NAME."""
    from headrace.model.endpoints.deployments import DELETE_SCHEDULE

    deployment = find_deployment(name)
    found = _one(deployment, name, schedule_id)
    confirm_delete(f"schedule {describe(found)!r} of deployment {name!r}", yes)
    call(DELETE_SCHEDULE, id=deployment.id, schedule_id=schedule_id)
    click.echo(f"Deleted schedule {schedule_id} of deployment {name!r}.")


@group.command()
@click.argument("name", shell_complete=complete_deployments)
@click.option("-y", "--yes", "--accept-yes", is_flag=True, help="Do not ask.")
def clear(name: str, yes: bool) -> None:
    """Delete all schedules of the deployment NAME."""
    from headrace.model.endpoints.deployments import DELETE_SCHEDULE

    deployment = find_deployment(name)
    found = _schedules(deployment)
    if found:
        confirm_delete(f"all {len(found)} schedules of deployment {name!r}", yes)
    for one in found:
        call(DELETE_SCHEDULE, id=deployment.id, schedule_id=one.id)
    click.echo(f"Deployment {name!r} has no schedules any more." if found else f"Deployment {name!r} has no schedules.")


def _switch(name: str | None, schedule_id: UUID | None, everything: bool, yes: bool, active: bool) -> None:
    done = "Resumed" if active else "Paused"
    if everything:
        if name is not None or schedule_id is not None:
            raise click.UsageError("--all excludes a deployment and a schedule.")
        chosen = [(one, schedule) for one in list_deployments() for schedule in _schedules(one)]
    elif name is None:
        raise click.UsageError("Give a deployment as FLOW/DEPLOYMENT, or --all.")
    else:
        deployment = find_deployment(name)
        found = [_one(deployment, name, schedule_id)] if schedule_id is not None else _schedules(deployment)
        if schedule_id is None and len(found) > 1:
            raise click.UsageError(f"Deployment {name!r} has {len(found)} schedules: give the id of one.")
        chosen = [(deployment, one) for one in found]
    chosen = [(deployment, one) for deployment, one in chosen if one.active is not active]
    if everything and chosen and not yes:
        from headrace.cli.config import is_interactive

        if is_interactive():
            click.confirm(f"{done[:-1]} {len(chosen)} schedules?", abort=True)
    for deployment, one in chosen:
        _set_active(deployment.id, one.id, active)
    click.echo(f"{done} {len(chosen)} schedule{'s' if len(chosen) != 1 else ''}.")


def _set_active(deployment: UUID, schedule: UUID, active: bool) -> None:
    from headrace.model.endpoints.deployments import UPDATE_SCHEDULE
    from headrace.model.schedules import DeploymentScheduleUpdate

    call(UPDATE_SCHEDULE, DeploymentScheduleUpdate(active=active), id=deployment, schedule_id=schedule)


@group.command()
@click.argument("name", required=False, shell_complete=complete_deployments)
@click.argument("schedule_id", required=False, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="Every schedule of every deployment.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def pause(name: str | None, schedule_id: UUID | None, everything: bool, yes: bool) -> None:
    """Have the schedule SCHEDULE_ID of the deployment NAME (its only one without an id) make no more runs."""
    _switch(name, schedule_id, everything, yes, active=False)


@group.command()
@click.argument("name", required=False, shell_complete=complete_deployments)
@click.argument("schedule_id", required=False, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="Every schedule of every deployment.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def resume(name: str | None, schedule_id: UUID | None, everything: bool, yes: bool) -> None:
    """Have the schedule SCHEDULE_ID of the deployment NAME (its only one without an id) make runs again."""
    _switch(name, schedule_id, everything, yes, active=True)


def _schedules(deployment: Deployment) -> list[DeploymentSchedule]:
    from headrace.model.endpoints.deployments import READ_SCHEDULES

    return call(READ_SCHEDULES, id=deployment.id)


def _one(deployment: Deployment, name: str, schedule_id: UUID) -> DeploymentSchedule:
    found = next((one for one in _schedules(deployment) if one.id == schedule_id), None)
    if found is None:
        fail(f"Deployment {name!r} has no schedule {schedule_id}.", f"`headrace deployment schedule ls {name}` lists them.", code=4)
    return found


def describe(schedule: DeploymentSchedule) -> str:
    """Return a schedule in a few words."""
    given: Any = schedule.schedule
    zone = f" ({given.timezone})" if getattr(given, "timezone", None) else ""
    if hasattr(given, "interval"):
        return f"every {given.interval}{zone}"
    return f"cron {given.cron}{zone}" if hasattr(given, "cron") else f"rrule {given.rrule}{zone}"
