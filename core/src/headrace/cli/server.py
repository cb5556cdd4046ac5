"""`headrace server`: the API, its database and its services."""

from __future__ import annotations

import click


@click.group("server")
def group() -> None:
    """Run the server, look at it and stop it."""


@group.command()
@click.option("--host", default=None, help="Address to listen at; default: the setting server.api.host.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port to listen at; default: the setting server.api.port.")
@click.option("--keep-alive-timeout", type=int, default=None, help="Seconds that an idle connection is kept.")
@click.option("--services/--no-services", default=True, help="Run the background services too; without, only the API.")
def start(host: str | None, port: int | None, keep_alive_timeout: int | None, services: bool) -> None:
    """Start the server here, until it is told to stop (Ctrl-C, or SIGTERM)."""
    from headrace.server.serving import application_in_force, listening, run, server_of
    from headrace.settings import get_current_settings

    api = get_current_settings().server.api
    bound = listening(host or api.host, api.port if port is None else port)
    app = application_in_force("all" if services else "web")
    run(server_of(app, keepalive_timeout=api.keepalive_timeout if keep_alive_timeout is None else keep_alive_timeout), app, bound)
    if app.failure is not None:
        raise app.failure
