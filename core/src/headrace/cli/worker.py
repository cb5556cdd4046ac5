"""`headrace worker`: start a worker of a work pool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.groups import Group
from headrace.cli.render import fail
from headrace.cli.runs import call
from headrace.cli.work_pool import complete_pools, find_pool, read_template, template_option

if TYPE_CHECKING:
    from headrace.deploy.workers.base import BaseWorker
    from headrace.model.work_pools import WorkPool


@click.group("worker", cls=Group)
def group() -> None:
    """Start workers."""


@group.command()
@click.option("-n", "--name", default=None, help="The worker's name; by default one that no other has.")
@click.option("-p", "--pool", default=None, shell_complete=complete_pools, help="The work pool whose runs it starts; asked for on a terminal.")
@click.option("-q", "--work-queue", "queues", multiple=True, metavar="QUEUE", help="Only runs of this queue. Repeatable.")
@click.option("-t", "--type", "kind", default=None, help="The type of worker; default: that of the pool, `process` for a new pool.")
@click.option(
    "--prefetch-seconds",
    type=float,
    default=None,
    help="Seconds before its time that a run is started; by default HEADRACE_WORKER_PREFETCH_SECONDS, 10.",
)
@click.option("--run-once", is_flag=True, help="Ask for runs once, wait for them, and end.")
@click.option("-l", "--limit", type=click.IntRange(min=1), default=None, help="Runs at once, at most; by default any number.")
@click.option(
    "--with-healthcheck", is_flag=True, help="Answer HTTP requests for /health, /ready and /metrics, where HEADRACE_WORKER_WEBSERVER_* says."
)
@click.option(
    "--install-policy",
    type=click.Choice(("always", "if-not-present", "never", "prompt")),
    default="prompt",
    show_default=True,
    help="Whether to install the plugin that brings the type of worker.",
)
@template_option
@click.option("--create-pool-if-not-found/--no-create-pool-if-not-found", default=True, help="Create the pool if it is missing.")
def start(
    name: str | None,
    pool: str | None,
    queues: tuple[str, ...],
    kind: str | None,
    prefetch_seconds: float | None,
    run_once: bool,
    limit: int | None,
    with_healthcheck: bool,
    install_policy: str,
    base_job_template: Path | None,
    create_pool_if_not_found: bool,
) -> None:
    """Start a worker: it starts the runs of a work pool, until it is told to stop.

    The first SIGTERM or Ctrl-C lets it take no more runs and wait for those it has; the second stops these.
    """
    import asyncio

    from headrace.deploy.workers.stopping import deliver_last_words
    from headrace.settings import get_current_settings

    if not get_current_settings().api.url:
        fail(
            "A worker needs a server to get runs from, and no address of one is set.",
            "Start one with `headrace server start` and set HEADRACE_API_URL to its address.",
        )
    if name is not None and ("/" in name or "%" in name):
        fail(f"The worker name {name!r} contains '/' or '%', which names cannot.", "They are part of addresses. Choose another.", 2)
    pool = pool or _asked_pool()
    found = _read_pool(pool)
    if found is None and not create_pool_if_not_found and kind is None:
        find_pool(pool)
    if found is not None:
        _check_pool(found, kind, queues, base_job_template)
    worker_class = _worker_class(kind or (found.type if found is not None else "process"), install_policy)
    worker: BaseWorker[Any, Any, Any] = worker_class(
        name=name,
        work_pool_name=pool,
        work_queues=list(queues),
        limit=limit,
        prefetch_seconds=prefetch_seconds,
        create_pool_if_not_found=create_pool_if_not_found,
        base_job_template=read_template(base_job_template),
    )
    asyncio.run(worker.start(run_once=run_once, with_healthcheck=with_healthcheck, printer=click.echo))
    deliver_last_words()


def _asked_pool() -> str:
    from headrace.cli.config import is_interactive

    if not is_interactive():
        fail("No work pool is named.", "Name one: headrace worker start --pool NAME", 2)
    return click.prompt("Which work pool should this worker start runs of?")


def _read_pool(name: str) -> WorkPool | None:
    """Return the pool; None when there is none, or when the server is away: the worker waits for it."""
    from headrace.model.endpoints.work_pools import READ_WORK_POOL
    from headrace.model.errors import ObjectNotFound, ServerUnreachable

    try:
        return call(READ_WORK_POOL, name=name)
    except (ObjectNotFound, ServerUnreachable) as error:
        if isinstance(error, ServerUnreachable):
            click.echo(f"Warning: {error} The worker goes on trying.", err=True)
        return None


def _check_pool(pool: WorkPool, kind: str | None, queues: tuple[str, ...], template: Path | None) -> None:
    if pool.is_push_pool or pool.is_managed_pool:
        fail(f"Work pool {pool.name!r} is of type {pool.type!r}, whose runs the hosted product starts itself; workers cannot.")
    if kind is not None and kind != pool.type:
        fail(f"Work pool {pool.name!r} is of type {pool.type!r}, not {kind!r}.", "Leave --type out, or choose another pool.")
    if template is not None:
        click.echo(f"Warning: Work pool {pool.name!r} exists already, so the option --base-job-template is ignored.", err=True)
    if pool.is_paused:
        click.echo(f"Warning: Work pool {pool.name!r} is paused. `headrace work-pool resume {pool.name!r}` resumes it.", err=True)
        return
    from headrace.model.endpoints.work_queues import READ_POOL_QUEUE
    from headrace.model.errors import ObjectNotFound

    for queue in queues:
        try:
            if call(READ_POOL_QUEUE, work_pool_name=pool.name, name=queue).is_paused:
                click.echo(f"Warning: Work queue {queue!r} is paused. `headrace work-queue resume {queue!r}` resumes it.", err=True)
        except ObjectNotFound:
            click.echo(f"Work queue {queue!r} does not exist yet; it is created.", err=True)


def _worker_class(kind: str, install_policy: str) -> type[BaseWorker[Any, Any, Any]]:
    from headrace.deploy.workers.types import worker_class, worker_types
    from headrace.model.errors import MissingExtra, PluginError, PluginNotInstalled, near

    if install_policy == "always":
        _install(kind)
    try:
        return worker_class(kind)
    except (PluginNotInstalled, MissingExtra):
        if install_policy != "always" and _may_install(kind, install_policy):
            _install(kind)
            return _worker_class(kind, "never")
        known = worker_types()
        package = _package_of(kind)
        hint = f"Install it: pip install {package}" if package else near(kind, known) or "`headrace work-pool inspect POOL` tells the type of a pool."
        fail(f"No worker of type {kind!r} is installed. Installed are: {', '.join(known)}.", hint)
    except PluginError as error:
        fail(str(error))


def _package_of(kind: str) -> str | None:
    from headrace.model.endpoints.workers import READ_COLLECTION_VIEW
    from headrace.model.errors import HeadraceException

    try:
        view: dict[str, dict[str, Any]] = call(READ_COLLECTION_VIEW, view="aggregate-worker-metadata")
    except HeadraceException:
        return None
    return next((package for package, kinds in view.items() if kind in kinds and package != "headrace"), None)


def _may_install(kind: str, policy: str) -> bool:
    from headrace.cli.config import is_interactive

    package = _package_of(kind)
    if package is None or policy == "never":
        return False
    if policy == "if-not-present":
        return True
    return is_interactive() and click.confirm(f"The worker type {kind!r} comes with {package}, which is not installed. Install it now?", default=True)


def _install(kind: str) -> None:
    import importlib
    import subprocess

    from headrace.deploy.steps.shell import install
    from headrace.plugin.registry import forget_registry

    package = _package_of(kind)
    if package is None:
        return
    click.echo(f"Installing {package} ...", err=True)
    try:
        install(["--upgrade", package], stream_output=False)
    except subprocess.CalledProcessError as error:
        fail(f"{package} could not be installed: {error.stderr.strip()[-500:]}", f"Install it by hand: pip install {package}")
    importlib.invalidate_caches()
    forget_registry()
