"""`headrace work-pool`: pools, their limits and templates. Where their bundles are kept is in `work_pool_storage`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option, yes_option
from headrace.cli.runs import call, collect, impatient, local
from headrace.cli.work_pool_storage import group as storage_group

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from headrace.model.flow_runs import FlowRun
    from headrace.model.work_pools import WorkPool

POOLS_MAX = 10_000
PREVIEW_MAX = 200


def complete_pools(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the names of work pools to the shell."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(pool.name) for pool in all_pools() if pool.name.startswith(typed)]


def all_pools() -> list[WorkPool]:
    """Return every work pool, by name."""
    from headrace.model.endpoints.work_pools import FILTER_WORK_POOLS
    from headrace.model.work_pools import FilterWorkPools

    return collect(POOLS_MAX, lambda offset, count: call(FILTER_WORK_POOLS, FilterWorkPools(limit=count, offset=offset)))


def find_pool(name: str) -> WorkPool:
    """Return a work pool, or end the command."""
    from headrace.model.endpoints.work_pools import READ_WORK_POOL
    from headrace.model.errors import ObjectNotFound, near

    try:
        return call(READ_WORK_POOL, name=name)
    except ObjectNotFound:
        hint = near(name, [pool.name for pool in all_pools()]) or "`headrace work-pool ls` lists them."
        fail(f"Work pool {name!r} not found!", hint, 4)


def scheduled_runs(pool: str, hours: float, queues: list[str] | None = None) -> list[FlowRun]:
    """Return the runs of a pool that are due within so many hours, those whose time has passed first."""
    from headrace.model import clock
    from headrace.model import run_filters as by
    from headrace.model.endpoints.flow_runs import FILTER_FLOW_RUNS
    from headrace.model.flow_runs import FlowRunSort
    from headrace.model.run_queries import FlowRunQuery
    from headrace.model.states import StateType
    from headrace.model.work_pools import WorkPoolFilter, WorkPoolFilterName
    from headrace.model.work_queues import WorkQueueFilter, WorkQueueFilterName

    wanted = FlowRunQuery(
        flow_runs=by.FlowRunFilter(
            state=by.FlowRunFilterState(type=by.FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            next_scheduled_start_time=by.FlowRunFilterNextScheduledStartTime(before_=clock.now() + timedelta(hours=hours)),
        ),
        work_pools=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
        work_pool_queues=WorkQueueFilter(name=WorkQueueFilterName(any_=queues)) if queues else None,
        sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC,
        limit=PREVIEW_MAX,
    )
    return call(FILTER_FLOW_RUNS, wanted)


def print_runs(runs: Sequence[FlowRun], output: str | None, nothing: str) -> None:
    """Print runs that are to come."""
    if not runs and not output:
        click.echo(nothing)
        return
    rows = [(local(run.next_scheduled_start_time), run.name, run.id, run.work_queue_name, run.state_name) for run in runs]
    emit(runs, output, (("scheduled", "name", "id", "queue", "state"), rows))


def read_template(path: Path | None) -> dict[str, Any] | None:
    """Return a base job template from a JSON file, or None without a file."""
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fail(f"The base job template in {str(path)!r} cannot be read: {error}", "It is a JSON file, as `get-default-base-job-template` writes it.", 2)
    if not isinstance(found, dict):
        fail(f"The base job template in {str(path)!r} is no JSON object.", "`headrace work-pool get-default-base-job-template` writes one.", 2)
    return cast("dict[str, Any]", found)


def default_template(kind: str) -> dict[str, Any]:
    """Return the base job template of a worker type, or end the command."""
    from headrace.client.bridge import drive
    from headrace.deploy.workers.utilities import aget_default_base_job_template_for_infrastructure_type, known_worker_types
    from headrace.model.errors import near

    found = drive(aget_default_base_job_template_for_infrastructure_type(kind))
    if found is None:
        known = sorted(drive(known_worker_types()))
        fail(f"Unknown work pool type {kind!r}.", near(kind, known) or f"Known are: {', '.join(known)}.", 1)
    return found


template_option = click.option(
    "--base-job-template", type=click.Path(path_type=Path, dir_okay=False), default=None, metavar="FILE", help="JSON file of the base job template."
)
_pool = click.argument("name", shell_complete=complete_pools)


@click.group("work-pool", cls=Group)
def group() -> None:
    """Create, change and look at work pools."""


group.add_command(storage_group)


@group.command()
@click.argument("name")
@template_option
@click.option("--paused", is_flag=True, help="Create it paused: no runs are started until it is resumed.")
@click.option("-t", "--type", "kind", default=None, help="The kind of infrastructure; `process` unless you are asked.")
@click.option("--set-as-default", is_flag=True, help="Let deployments of the active profile use it where they name none.")
@click.option("--provision-infrastructure", "--provision-infra", "provision", is_flag=True, help="Not offered: it is of the hosted product.")
@click.option("--overwrite", is_flag=True, help="Change a pool of that name, if there is one.")
@output_option
def create(
    name: str,
    base_job_template: Path | None,
    paused: bool,
    kind: str | None,
    set_as_default: bool,
    provision: bool,
    overwrite: bool,
    output: str | None,
) -> None:
    """Create a work pool."""
    from headrace.client.bridge import drive
    from headrace.client.orchestration import get_client
    from headrace.model.errors import ObjectAlreadyExists
    from headrace.model.work_pools import WorkPoolCreate

    if provision:
        _not_provisioned()
    kind = kind or _asked_type()
    template = read_template(base_job_template) or default_template(kind)
    try:
        made = WorkPoolCreate(name=name, type=kind, base_job_template=template, is_paused=paused)
    except ValueError as error:
        fail(_reason(error), None, 2)
    try:
        with impatient():
            pool = drive(get_client().create_work_pool(made, overwrite=overwrite))
    except ObjectAlreadyExists:
        fail(f"Work pool {name!r} already exists.", "Choose another name, or change that pool with --overwrite.")
    if set_as_default:
        from headrace.settings.profiles import update_current_profile

        update_current_profile({"HEADRACE_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME": name})
    if output:
        emit(pool, output)
    else:
        click.echo(f"Created work pool {name!r} of type {kind!r}. Start a worker: headrace worker start --pool {name!r}")


def _asked_type() -> str:
    from headrace.cli.config import is_interactive

    if not is_interactive():
        return "process"
    from headrace.client.bridge import drive
    from headrace.deploy.workers.utilities import known_worker_types

    known = drive(known_worker_types())
    for kind, told in sorted(known.items()):
        click.echo(f"  {kind:<16} {told.get('description') or ''}")
    return click.prompt("What type of work pool?", type=click.Choice(sorted(known)), default="process", show_choices=False)


def _reason(error: ValueError) -> str:
    problems = getattr(error, "errors", None)
    if not callable(problems):
        return str(error)
    listed = cast("list[dict[str, Any]]", problems())
    return "; ".join(f"{'.'.join(map(str, one['loc']))} {one['input']!r}: {one['msg']}" for one in listed)


@group.command("ls")
@click.option("-v", "--verbose", is_flag=True, help="Show more of each pool.")
@output_option
def list_pools(verbose: bool, output: str | None) -> None:
    """List work pools."""
    pools = all_pools()
    columns = ("name", "type", "status", "id", "concurrency limit")
    rows: list[tuple[object, ...]] = [(p.name, p.type, "PAUSED" if p.is_paused else p.status, p.id, p.concurrency_limit) for p in pools]
    if verbose:
        columns = (*columns, "description", "base job template")
        rows = [(*row, pool.description, json.dumps(pool.base_job_template)) for row, pool in zip(rows, pools, strict=True)]
    emit(pools, output, (columns, rows))


@group.command()
@_pool
@output_option
def inspect(name: str, output: str | None) -> None:
    """Show a work pool."""
    emit(find_pool(name), output)


@group.command()
@_pool
@output_option
def slots(name: str, output: str | None) -> None:
    """Show which runs take the slots of a pool, by queue."""
    from headrace.model.endpoints.work_pools import WORK_POOL_CONCURRENCY_STATUS
    from headrace.model.work_pools import PoolConcurrencyStatusQuery

    find_pool(name)
    status = call(WORK_POOL_CONCURRENCY_STATUS, PoolConcurrencyStatusQuery(), name=name)
    rows: list[tuple[object, ...]] = []
    for queue in status.queues:
        limit = "no limit" if queue.concurrency_limit is None else queue.concurrency_limit
        rows += [(queue.queue_name, queue.active_slots, limit, run.name, run.id) for run in queue.flow_runs] or [
            (queue.queue_name, queue.active_slots, limit, None, None)
        ]
    emit(status, output, (("queue", "active", "limit", "flow run", "id"), rows))


def _update(name: str, **changes: Any) -> None:
    from headrace.model.endpoints.work_pools import UPDATE_WORK_POOL
    from headrace.model.work_pools import WorkPoolUpdate

    find_pool(name)
    try:
        body = WorkPoolUpdate(**changes)
    except ValueError as error:
        fail(_reason(error), None, 2)
    call(UPDATE_WORK_POOL, body, name=name)


@group.command()
@_pool
def pause(name: str) -> None:
    """Start no more runs of a pool."""
    _update(name, is_paused=True)
    click.echo(f"Paused work pool {name!r}")


@group.command()
@_pool
def resume(name: str) -> None:
    """Start the runs of a pool again."""
    _update(name, is_paused=False)
    click.echo(f"Resumed work pool {name!r}")


@group.command()
@_pool
@template_option
@click.option("--concurrency-limit", type=click.IntRange(min=0), default=None, help="Runs at once, at most.")
@click.option("--description", default=None, help="What the pool is for.")
@output_option
def update(name: str, base_job_template: Path | None, concurrency_limit: int | None, description: str | None, output: str | None) -> None:
    """Change a work pool. What is not given stays."""
    given = {"base_job_template": read_template(base_job_template), "concurrency_limit": concurrency_limit, "description": description}
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        fail("Nothing to change was given.", "Give --base-job-template, --concurrency-limit or --description.", 2)
    _update(name, **changes)
    if output:
        emit(find_pool(name), output)
    else:
        click.echo(f"Updated work pool {name!r}")


@group.command("provision-infrastructure")
@_pool
def provision_infrastructure(name: str) -> None:
    """Make the cloud infrastructure of a pool of the hosted product; not offered here."""
    _not_provisioned()


group.add_command(provision_infrastructure, "provision-infra")


def _not_provisioned() -> None:
    fail(
        "Infrastructure is provisioned for push pools alone, which only the hosted product runs; a pool here is served by workers.",
        "Create the infrastructure with the tools of your cloud, and start a worker with `headrace worker start`.",
    )


@group.command()
@_pool
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a work pool with its queues. Its runs and deployments wait nowhere then."""
    from headrace.model.endpoints.work_pools import DELETE_WORK_POOL

    find_pool(name)
    confirm_delete(f"the work pool {name!r}", yes)
    call(DELETE_WORK_POOL, name=name)
    click.echo(f"Deleted work pool {name!r}")


@group.command("set-concurrency-limit")
@_pool
@click.argument("concurrency_limit", type=click.IntRange(min=0))
def set_concurrency_limit(name: str, concurrency_limit: int) -> None:
    """Limit how many runs of a pool go on at once."""
    _update(name, concurrency_limit=concurrency_limit)
    click.echo(f"Set concurrency limit for work pool {name!r} to {concurrency_limit}")


@group.command("clear-concurrency-limit")
@_pool
def clear_concurrency_limit(name: str) -> None:
    """Let any number of runs of a pool go on at once."""
    _update(name, concurrency_limit=None)
    click.echo(f"Cleared concurrency limit for work pool {name!r}")


@group.command("get-default-base-job-template")
@click.option("-t", "--type", "kind", required=True, help="The kind of infrastructure.")
@click.option("-f", "--file", "path", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write it there.")
def get_default_base_job_template(kind: str, path: Path | None) -> None:
    """Print the base job template that pools of a type begin with."""
    text = json.dumps(default_template(kind), indent=2)
    if path is None:
        click.echo(text)
    else:
        path.write_text(text + "\n", encoding="utf-8")
        click.echo(f"Wrote the base job template of {kind!r} to {path}")


@group.command()
@click.argument("name", shell_complete=complete_pools, required=False)
@click.option("-h", "--hours", type=float, default=1.0, show_default=True, help="How far to look ahead.")
@output_option
def preview(name: str | None, hours: float, output: str | None) -> None:
    """Show the runs of a pool that are to come. Without a name: of the default pool."""
    from headrace.settings import get_current_settings

    name = name or get_current_settings().deployments.default_work_pool_name
    if name is None:
        fail("No work pool is named, and there is no default.", "Name one, or set HEADRACE_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME.", 2)
    find_pool(name)
    print_runs(scheduled_runs(name, hours), output, f"No runs are scheduled in work pool {name!r} within {hours:g} hour(s).")
