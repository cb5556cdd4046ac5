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
def start(host: str | None, port: int | None, keep_alive_timeout: int | None) -> None:
    """Start the server here, until it is told to stop (Ctrl-C, or SIGTERM)."""
    from headrace.server.serving import serve
    from headrace.settings import get_current_settings

    api = get_current_settings().server.api
    serve(host or api.host, api.port if port is None else port, api.keepalive_timeout if keep_alive_timeout is None else keep_alive_timeout)
