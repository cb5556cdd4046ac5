"""`headrace server`: the API, its database and its services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.groups import Group
from headrace.cli.render import emit, fail, output_option

if TYPE_CHECKING:
    from headrace.cli.background import Background

START_SECONDS_MAX = 60.0
POLL_SECONDS = 0.1
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_GROUPS = ("database", "services")
"""Groups of commands in modules of their own, imported when they are called."""


class _Server(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_GROUPS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "database":
            from headrace.cli.server_database import group as database

            return database
        if cmd_name == "services":
            from headrace.cli.server_services import group as services

            return services
        return super().get_command(ctx, cmd_name)


@click.group("server", cls=_Server)
def group() -> None:
    """Run the server, look at it and stop it."""


@group.command()
@click.option("--host", default=None, help="Address to listen at; default: the setting server.api.host.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port to listen at; default: the setting server.api.port.")
@click.option("--keep-alive-timeout", type=click.IntRange(min=0), default=None, help="Seconds that an idle connection is kept.")
@click.option("--log-level", type=click.Choice(LEVELS, case_sensitive=False), default=None, help="What the server logs, at least.")
@click.option("--scheduler/--no-scheduler", default=None, help="Make runs of schedules.")
@click.option("--late-runs/--no-late-runs", default=None, help="Mark runs that are late.")
@click.option("--analytics-on/--analytics-off", default=None, hidden=True, help="Accepted; nothing is ever sent anywhere.")
@click.option("--ui/--no-ui", default=None, help="Serve the user interface.")
@click.option("--no-services", is_flag=True, help="Only answer requests: the background services run elsewhere.")
@click.option("-b", "--background", is_flag=True, help="Run in the background, and return when the server answers.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that answer requests; more imply --no-services.")
@click.option("--socket", "descriptor", type=int, default=None, hidden=True, help="Listen at this open socket; for one of several processes.")
@click.option("--claim", is_flag=True, hidden=True, help="Be the one that runs in the background.")
def start(
    host: str | None,
    port: int | None,
    keep_alive_timeout: int | None,
    log_level: str | None,
    scheduler: bool | None,
    late_runs: bool | None,
    analytics_on: bool | None,
    ui: bool | None,
    no_services: bool,
    background: bool,
    workers: int,
    descriptor: int | None,
    claim: bool,
) -> None:
    """Start the server, until it is told to stop (Ctrl-C, or SIGTERM).

    With SQLite everything runs in this one process. Exits with 0 once every request that was begun is answered.
    """
    from headrace.settings import temporary_settings

    given: dict[str, Any] = {
        "server.api.host": host,
        "server.api.port": port,
        "server.api.keepalive_timeout": keep_alive_timeout,
        "server.logging_level": log_level,
        "server.services.scheduler.enabled": scheduler,
        "server.services.late_runs.enabled": late_runs,
        "server.ui.enabled": ui,
    }
    with ExitStack() as held:
        held.enter_context(temporary_settings({name: value for name, value in given.items() if value is not None}))
        _need_server_extra()
        if background:
            _start_in_background(click.get_current_context())
            return
        if claim:
            held.enter_context(_background().claim(_url()))
        if descriptor is None:
            _listen_and_serve(no_services, workers)
        else:
            from headrace.server import serving

            serving.serve(serving.inherited(descriptor), "web")


def _listen_and_serve(without_services: bool, workers: int) -> None:
    from headrace.server import serving
    from headrace.settings import get_current_settings

    api = get_current_settings().server.api
    if workers > 1:
        serving.check_several()
    bound = serving.listening(api.host, api.port)
    port: int = bound.getsockname()[1]
    if api.auth_string is None and not serving.is_local(api.host):
        click.echo(f"Warning: everybody who can reach {api.host}:{port} can use this server. Set HEADRACE_SERVER_API_AUTH_STRING.", err=True)

    def tell() -> None:
        click.echo(f"The headrace server listens at {_url(port)} (Ctrl-C stops it).", err=True)

    if workers > 1:
        tell()
        serving.serve_several(bound, workers)
    else:
        serving.serve(bound, "web" if without_services else "all", tell)


def _start_in_background(context: click.Context) -> None:
    given: dict[str, Any] = {name: value for name, value in context.params.items() if value is not None and name not in ("background", "claim")}
    process = _background().start(["server", "start", "--claim", *_as_arguments(given)], lambda: _answer(_url()) is not None, START_SECONDS_MAX)
    click.echo(f"The headrace server runs in the background (process {process}) at {_url()}. `headrace server stop` stops it.")


def _as_arguments(given: dict[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        if name == "no_services":
            yield from [option] if value else ()
        elif isinstance(value, bool):
            yield {"analytics_on": "--analytics-on" if value else "--analytics-off"}.get(name, option if value else f"--no-{option[2:]}")
        else:
            yield from (option, str(value))


@group.command()
def stop() -> None:
    """Stop the server that runs in the background."""
    stopped = _background().stop()
    if stopped is None:
        fail("No server of this home runs in the background.", "`headrace server status` says whether one answers at all.")
    click.echo(f"The headrace server (process {stopped}) has stopped.")


@group.command()
@click.option("--wait", is_flag=True, help="Wait until the server answers.")
@click.option("-t", "--timeout", type=click.IntRange(min=0), default=0, show_default=True, help="Seconds to wait at most; 0 waits for ever.")
@output_option
def status(wait: bool, timeout: int, output: str | None) -> None:
    """Say whether a server answers: the one that the API URL names, else the one of this home. Exits with 7 when none does."""
    from headrace.model import clock
    from headrace.settings import get_current_settings

    found = _background().running()
    url = get_current_settings().api.url or (found[1] if found else _url())
    deadline = clock.monotonic() + timeout
    health = _answer(url)
    while wait and health is None and (timeout == 0 or clock.monotonic() < deadline):
        clock.sleep(POLL_SECONDS)
        health = _answer(url)
    told = {
        "status": "unavailable" if health is None else "healthy",
        "api_url": url,
        "server_version": health,
        "background_pid": found[0] if found else None,
    }
    if output:
        emit(told, output)
    elif health is not None:
        click.echo(f"The server at {url} answers{'' if health == '?' else f' (to clients of version {health})'}.")
    if health is None:
        fail(f"No server answers at {url}.", "Start one with `headrace server start`.", 8 if wait else 7)


def _answer(url: str) -> str | None:
    """Return the version of the server at `url`, or "?" for one that keeps it to itself; None where none answers."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(f"{url}/health"), timeout=5) as answer:
            answer.read()
        with urlopen(Request(f"{url}/admin/version"), timeout=5) as answer:
            return answer.read().decode().strip('"')
    except HTTPError:
        return "?"
    except (OSError, ValueError):
        return None


def _background() -> Background:
    from headrace.cli.background import Background
    from headrace.settings import get_current_settings

    return Background(get_current_settings().home, "server")


def _url(port: int | None = None) -> str:
    from headrace.settings import get_current_settings

    api = get_current_settings().server.api
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(api.host, api.host)
    return f"http://{host}:{port or api.port}{api.base_path or '/api'}"


def _need_server_extra() -> None:
    missing = [name for name in ("uvicorn", "fastapi", "httptools", "websockets") if find_spec(name) is None]
    if missing:
        fail(f"The server needs packages that are not installed: {', '.join(missing)}.", "Install them with: pip install 'headrace[server]'")
