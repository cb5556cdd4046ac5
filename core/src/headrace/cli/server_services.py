"""`headrace server services`: the background services in a process of their own, apart from the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option

if TYPE_CHECKING:
    from headrace.cli.background import Background


START_SECONDS_MAX = 60.0


@click.group("services", cls=Group)
def group() -> None:
    """Run the background services apart from the API."""


@group.command("ls")
@output_option
def list_services(output: str | None) -> None:
    """List the services: whether each is enabled, what switches it, and what it does."""
    from headrace.server.services.builtin import SERVICES

    services = [
        {
            "name": one.__name__,
            "enabled": one.enabled(),
            "environment_variable": one.environment_variable_name(),
            "description": (one.__doc__ or "").strip().partition("\n")[0],
        }
        for one in SERVICES
    ]
    rows = [(one["name"], "yes" if one["enabled"] else "no", one["environment_variable"], one["description"]) for one in services]
    emit(services, output, (("name", "enabled", "environment variable", "description"), rows))


@group.command("start")
@click.option("-b", "--background", is_flag=True, help="Run them in the background, until `headrace server services stop`.")
def start(background: bool) -> None:
    """Run all enabled services in one process, until it is told to stop (Ctrl-C, or SIGTERM)."""
    from headrace.server.services.runtime import chosen_for

    process = _process()
    names = [one.__name__ for one in chosen_for("services")]
    if not names:
        fail("No service is enabled.", "`headrace server services ls` shows which setting switches each.")
    found = process.running()
    if found is not None:
        fail(f"The services run already, in process {found[0]}.", "Stop them first: `headrace server services stop`.")
    if background:
        pid = process.start(["server", "services", "manager"], lambda: process.running() is not None, START_SECONDS_MAX)
        click.echo(f"Started {len(names)} services in the background (process {pid}). `headrace server services stop` stops them.")
    else:
        _serve(lambda: click.echo(f"Running {', '.join(names)}. Ctrl-C stops them."))


@group.command("manager", hidden=True)
def manager() -> None:
    """Be the background process of `start --background`."""
    _serve(lambda: None)


@group.command("stop")
def stop() -> None:
    """Stop the services of this home, and wait until they have stopped."""
    pid = _process().stop()
    if pid is None:
        fail("No services run.", "`headrace server services start --background` starts them.")
    click.echo(f"Stopped the services (process {pid}).")


group.add_command(list_services, "list-services")
group.add_command(start, "start-services")
group.add_command(stop, "stop-services")


def _process() -> Background:
    from headrace.cli.background import Background
    from headrace.settings import get_current_settings

    return Background(get_current_settings().home, "services")


def _serve(tell: Callable[[], None]) -> None:
    import asyncio
    from contextlib import ExitStack

    from headrace.server.services.runtime import serve

    with ExitStack() as held:

        def ready() -> None:  # the file is claimed only now: whoever finds it may stop this process, which is in order from here on
            held.enter_context(_process().claim(""))
            tell()

        asyncio.run(serve(ready))
