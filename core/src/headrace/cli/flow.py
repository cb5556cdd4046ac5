"""`headrace flow`: flows that have run, and running them for a deployment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option
from headrace.cli.runs import call, collect, limit_option, local

if TYPE_CHECKING:
    from headrace.deploy.schedules import Schedule
    from headrace.model.flows import Flow


@click.group("flow", cls=Group)
def group() -> None:
    """Look at flows, and serve them."""


@group.command("ls")
@limit_option(15)
@output_option
def list_flows(limit: int, output: str | None) -> None:
    """List flows, those that came last first."""
    from headrace.model.endpoints.flows import FILTER_FLOWS
    from headrace.model.flows import FlowSort
    from headrace.model.run_queries import FlowQuery

    def fetch(offset: int, count: int) -> Sequence[Flow]:
        return call(FILTER_FLOWS, FlowQuery(sort=FlowSort.CREATED_DESC, offset=offset, limit=count))

    flows = collect(limit, fetch)
    emit(flows, output, (("id", "name", "created", "tags"), [(f.id, f.name, local(f.created), ", ".join(f.tags)) for f in flows]))


@group.command("serve")
@click.argument("entrypoint")
@click.option("-n", "--name", required=True, help="What the deployment is called.")
@click.option("-d", "--description", help="What it is for; by default the flow's own.")
@click.option("-v", "--version", help="Its version; by default the flow's own.")
@click.option("-t", "--tag", "tags", multiple=True, help="A tag for its runs. May be given again.")
@click.option("--cron", help='When runs begin, as a cron expression: "0 8 * * 1".')
@click.option("--interval", type=click.FloatRange(min=0, min_open=True), help="Seconds between two runs.")
@click.option("--anchor-date", type=click.DateTime(), help="When the intervals are counted from.")
@click.option("--rrule", help="When runs begin, as a recurrence rule of RFC 5545.")
@click.option("--timezone", help="Whose clock the schedule is for, as Europe/Berlin.")
@click.option("--pause-on-shutdown/--no-pause-on-shutdown", default=True, help="Pause the deployment at the end.")
@click.option("--limit", type=click.IntRange(min=1), help="Runs at once in this process.")
@click.option("--global-limit", type=click.IntRange(min=1), help="Runs at once anywhere.")
def serve_flow(entrypoint: str, name: str, anchor_date: datetime | None, timezone: str | None, pause_on_shutdown: bool, **options: Any) -> None:
    """Run the runs of a flow here until Ctrl-C. ENTRYPOINT is path/to/file.py:flow or package.module:flow."""
    from headrace.cli.running import load
    from headrace.deploy.deployments import RunnerDeployment
    from headrace.deploy.serving import serve
    from headrace.model.errors import HeadraceException

    load(entrypoint)
    limit = options.pop("limit")
    try:
        when = _schedule(options.pop("cron"), options.pop("interval"), options.pop("rrule"), anchor_date, timezone)
        tags, concurrency = list(options.pop("tags")), options.pop("global_limit")
        deployment = RunnerDeployment.from_entrypoint(entrypoint, name, schedule=when, tags=tags, concurrency_limit=concurrency, **options)
    except (ValueError, HeadraceException) as error:
        fail(str(error))
    serve(deployment, pause_on_shutdown=pause_on_shutdown, limit=limit)


def _schedule(cron: str | None, interval: float | None, rrule: str | None, anchor_date: datetime | None, timezone: str | None) -> Schedule | None:
    from headrace.deploy.schedules import Interval, Schedule

    if interval is not None and cron is None and rrule is None:
        return Interval(interval, anchor_date=anchor_date, timezone=timezone)
    if anchor_date is not None:
        raise ValueError("--anchor-date says where intervals are counted from. Give --interval too.")
    if cron is None and rrule is None:
        if timezone is not None:
            raise ValueError("--timezone is that of a schedule. Give --cron, --interval or --rrule too.")
        return None
    return (
        Schedule(cron=cron, rrule=rrule, timezone=timezone)
        if interval is None
        else Schedule(cron=cron, rrule=rrule, interval=timedelta(seconds=interval))
    )
