"""`headrace work-queue`: queues of work pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from headrace.cli.asking import confirm_delete
from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option, yes_option
from headrace.cli.runs import impatient
from headrace.cli.work_pool import complete_pools, find_pool, print_runs, scheduled_runs

if TYPE_CHECKING:
    from headrace.model.work_queues import WorkQueue

_queue = click.argument("name")
_pool = click.option("-p", "--pool", default=None, shell_complete=complete_pools, help="The work pool of the queue; default: the default pool.")


@click.group("work-queue", cls=Group)
def group() -> None:
    """Create, change and look at work queues."""


def _run(method: str, *args: Any, **options: Any) -> Any:
    from headrace.client.orchestration import get_client

    with impatient(), get_client(sync_client=True) as client:
        return getattr(client, method)(*args, **options)


def _default_pool() -> str | None:
    from headrace.settings import get_current_settings

    return get_current_settings().deployments.default_work_pool_name


def _find(name: str, pool: str | None) -> WorkQueue:
    """Return a queue by name or id, or end the command."""
    from headrace.model.errors import ObjectNotFound, near

    pool = pool or _default_pool()
    try:
        try:
            return _run("read_work_queue", UUID(name))
        except ValueError:
            if pool is not None:
                find_pool(pool)
            return _run("read_work_queue_by_name", name, work_pool_name=pool)
    except ObjectNotFound:
        names = [queue.name for queue in _run("read_work_queues", work_pool_name=pool)]
        place = f" in work pool {pool!r}" if pool else ""
        fail(f"Work queue {name!r} not found{place}.", near(name, names) or "`headrace work-queue ls` lists them.", 4)


@group.command()
@_queue
@click.option("-l", "--limit", type=click.IntRange(min=0), default=None, help="Runs at once, at most.")
@_pool
@click.option("-q", "--priority", type=click.IntRange(min=1), default=None, help="1 is the highest; no two queues of a pool share one.")
@output_option
def create(name: str, limit: int | None, pool: str | None, priority: int | None, output: str | None) -> None:
    """Create a work queue."""
    from headrace.model.errors import ObjectAlreadyExists

    pool = pool or _default_pool()
    if pool is not None:
        find_pool(pool)
    try:
        made = _run("create_work_queue", name, concurrency_limit=limit, priority=priority, work_pool_name=pool)
    except ObjectAlreadyExists:
        fail(f"Work queue {name!r} already exists.", "Choose another name.")
    if output:
        emit(made, output)
    else:
        click.echo(
            f"Created work queue {name!r} in work pool {made.work_pool_name!r}: headrace worker start --pool {made.work_pool_name!r} -q {name!r}"
        )


@group.command("ls")
@click.option("-v", "--verbose", is_flag=True, help="Show more of each queue.")
@click.option("-m", "--match", "prefix", default=None, metavar="PREFIX", help="Only queues whose name begins so.")
@_pool
@output_option
def list_queues(verbose: bool, prefix: str | None, pool: str | None, output: str | None) -> None:
    """List work queues: of all pools, or of one."""
    if pool is not None:
        find_pool(pool)
    queues: list[WorkQueue] = _run("match_work_queues", [prefix or ""], work_pool_name=pool)
    columns: tuple[str, ...] = ("name", "pool", "priority", "concurrency limit", "status", "id")
    rows: list[tuple[object, ...]] = [(q.name, q.work_pool_name, q.priority, q.concurrency_limit, q.status, q.id) for q in queues]
    if verbose:
        columns = (*columns, "description", "last polled")
        rows = [(*row, queue.description, queue.last_polled) for row, queue in zip(rows, queues, strict=True)]
    emit(queues, output, (columns, rows))


@group.command()
@_queue
@_pool
@output_option
def inspect(name: str, pool: str | None, output: str | None) -> None:
    """Show a work queue."""
    emit(_find(name, pool), output)


@group.command()
@_queue
@_pool
@output_option
def slots(name: str, pool: str | None, output: str | None) -> None:
    """Show which runs take the slots of a queue."""
    status = _run("read_work_queue_concurrency_status", _find(name, pool).id)
    emit(status, output, (("flow run", "id", "state"), [(run.name, run.id, getattr(run, "state_name", None)) for run in status.flow_runs]))


def _change(name: str, pool: str | None, said: str, **changes: Any) -> None:
    queue = _find(name, pool)
    _run("update_work_queue", queue.id, **changes)
    click.echo(said)


@group.command()
@_queue
@_pool
def pause(name: str, pool: str | None) -> None:
    """Start no more runs of a queue."""
    _change(name, pool, f"Paused work queue {name!r}", is_paused=True)


@group.command()
@_queue
@_pool
def resume(name: str, pool: str | None) -> None:
    """Start the runs of a queue again."""
    _change(name, pool, f"Resumed work queue {name!r}", is_paused=False)


@group.command("set-concurrency-limit")
@_queue
@click.argument("limit", type=click.IntRange(min=0))
@_pool
def set_concurrency_limit(name: str, limit: int, pool: str | None) -> None:
    """Limit how many runs of a queue go on at once."""
    _change(name, pool, f"Concurrency limit of {limit} set on work queue {name!r}", concurrency_limit=limit)


@group.command("clear-concurrency-limit")
@_queue
@_pool
def clear_concurrency_limit(name: str, pool: str | None) -> None:
    """Let any number of runs of a queue go on at once."""
    _change(name, pool, f"Concurrency limits removed on work queue {name!r}", concurrency_limit=None)


@group.command()
@_queue
@_pool
@yes_option
def delete(name: str, pool: str | None, yes: bool) -> None:
    """Delete a work queue. Its runs and deployments wait nowhere then."""
    queue = _find(name, pool)
    confirm_delete(f"the work queue {queue.name!r}", yes)
    _run("delete_work_queue_by_id", queue.id)
    click.echo(f"Deleted work queue {queue.name!r}")


@group.command()
@click.argument("name")
@click.option("-h", "--hours", type=float, default=1.0, show_default=True, help="How far to look ahead.")
@_pool
@output_option
def preview(name: str, hours: float, pool: str | None, output: str | None) -> None:
    """Show the runs of a queue that are to come."""
    queue = _find(name, pool)
    assert queue.work_pool_name is not None, "a stored queue belongs to a pool"
    print_runs(scheduled_runs(queue.work_pool_name, hours, [queue.name]), output, f"No runs are scheduled in work queue {queue.name!r}.")


@group.command("read-runs")
@_queue
@_pool
@output_option
def read_runs(name: str, pool: str | None, output: str | None) -> None:
    """Show the runs that a worker would be given now. This counts as a poll of the queue."""
    queue = _find(name, pool)
    runs = _run("get_runs_in_work_queue", queue.id)
    if not output:
        click.echo(f"Read {len(runs)} runs for work queue {queue.name!r}")
    print_runs(runs, output, "")
