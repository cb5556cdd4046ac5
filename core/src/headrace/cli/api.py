"""`headrace api`: a request to the server, as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from headrace.cli.exits import NOT_FOUND, REFUSED, UNREACHABLE, status_of
from headrace.cli.render import fail
from headrace.cli.runs import impatient

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
REFUSED_REQUEST = NOT_FOUND
"""Here this status says that the request was refused, for whatever reason."""


@click.command("api")
@click.argument("method", metavar="METHOD", type=click.Choice(METHODS, case_sensitive=False))
@click.argument("path")
@click.option("--data", default=None, metavar="JSON|@FILE", help="The body; without it, what is piped in, or {} for POST, PUT and PATCH.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header. Repeatable.")
@click.option("-v", "--verbose", is_flag=True, help="Tell what is sent and what comes back.")
def command(method: str, path: str, data: str | None, headers: tuple[str, ...], verbose: bool) -> None:
    """Send a request to PATH of the server, as `headrace api POST /flows/filter`, and print the answer.

    Exits with 3 when it is not permitted, 4 when it is refused, 5 when the server fails, 7 when it cannot be reached.
    """
    from headrace.client.bridge import drive
    from headrace.client.connect import current_client
    from headrace.client.http import HttpClient
    from headrace.model.errors import HeadraceException

    client = current_client()
    if not isinstance(client, HttpClient):
        fail(
            "There is no server to send a request to.", "Start one with `headrace server start` and set HEADRACE_API_URL to its address.", UNREACHABLE
        )
    content = _content(method, data)
    target = f"/{path.lstrip('/')}"
    if verbose:
        click.echo(f"> {method} {client.url}{target}", err=True)
    try:
        with impatient():
            answer = drive(client.send(method.upper(), target, content, _head(headers)))
    except HeadraceException as error:
        status = status_of(error)
        fail(str(error), code=REFUSED_REQUEST if status == REFUSED else status)
    if verbose:
        click.echo(f"< {answer.status}", err=True)
    _print(answer.body)


def _head(headers: tuple[str, ...]) -> str:
    lines: list[str] = []
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip() or "\n" in header or "\r" in header:
            raise click.BadParameter(f"{header!r} should be 'NAME: VALUE'.", param_hint="--header")
        lines.append(f"{name.strip()}: {value.strip()}")
    return "".join(f"{line}\r\n" for line in lines)


def _content(method: str, data: str | None) -> bytes | None:
    if data is not None and data.startswith("@"):
        file = Path(data[1:])
        if not file.is_file():
            fail(f"There is no file {str(file)!r}.")
        data = file.read_text(encoding="utf-8")
    elif data is None and method.upper() in ("POST", "PUT", "PATCH"):
        data = ("" if sys.stdin.isatty() else sys.stdin.read()).strip() or "{}"
    if data is None:
        return None
    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"The body is no valid JSON: {error}", param_hint="--data") from error
    return data.encode()


def _print(body: bytes) -> None:
    if not body:
        return
    try:
        found: Any = json.loads(body)
    except ValueError:
        click.echo(body.decode(errors="replace"))
        return
    click.echo(json.dumps(found, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))
