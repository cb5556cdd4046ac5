"""A runner's health by HTTP: `GET /health`, `GET /run_count` and, for those who know the token, `POST /shutdown`."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from headrace.model import clock
from headrace.model.errors import ConfigurationError
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.deploy.runner import Runner

REQUEST_BYTES_MAX = 8_192
REQUEST_SECONDS_MAX = 5.0
_REASONS = {200: "OK", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@asynccontextmanager
async def serving_health(runner: Runner, is_wanted: bool) -> AsyncGenerator[asyncio.Server | None]:
    """Answer requests for the runner's health while the block lasts, if that is wanted, where the settings `runner.server` say.

    Raises `ConfigurationError` when that address cannot be listened at.
    """
    if not is_wanted:
        yield None
        return
    settings = get_current_settings().runner.server
    token = secrets.token_urlsafe(16)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_SECONDS_MAX)
            status, body = answer(runner, head.decode("latin-1"), token)
            lines = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
            writer.write(f"{lines}\r\n\r\n{body}".encode())
            await writer.drain()
        except (TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return  # whoever asks in no HTTP, or goes away, gets no answer
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, settings.host, settings.port, limit=REQUEST_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError(
            f"The runner's health cannot be served at {settings.host}:{settings.port}: {error.strerror or error}. "
            "Set HEADRACE_RUNNER_SERVER_PORT to a free port, or leave `webserver` out."
        ) from error
    port = server.sockets[0].getsockname()[1]
    runner.logger.info(
        "Health at http://%s:%s/health. To stop the runner: POST /shutdown with 'Authorization: Bearer %s'.", settings.host, port, token
    )
    async with server:
        yield server


def answer(runner: Runner, head: str, token: str) -> tuple[int, str]:
    """Return status and body of the answer to a request, given its head."""
    method, target, *_ = head.split(" ", 2)
    path = target.partition("?")[0]
    allowed = {"/health": "GET", "/run_count": "GET", "/shutdown": "POST"}.get(path)
    if allowed is None:
        return 404, '{"detail":"Not Found"}'
    if method != allowed:
        return 405, '{"detail":"Method Not Allowed"}'
    if path == "/run_count":
        return 200, str(runner.running)
    if path == "/shutdown":
        given = next((line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith("authorization:")), "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return 403, '{"detail":"The token that the runner printed when it started is needed."}'
        runner.stop()
        return 200, '{"message":"Stopping"}'
    return _health(runner)


def _health(runner: Runner) -> tuple[int, str]:
    tolerated = get_current_settings().runner.server.missed_polls_tolerance * runner.query_seconds
    since = (clock.now() - runner.last_polled).total_seconds() if runner.last_polled is not None else 0.0
    if since > tolerated:
        return 503, json.dumps({"message": "Runner is unresponsive at this time", "seconds_since_last_polling": since})
    return 200, json.dumps({"message": "OK"})
