"""A worker's health by HTTP: `/health` (it asks for runs), `/ready` (it can take runs), `/metrics`. A few lines of HTTP need no server library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from headrace.model.errors import ConfigurationError
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.deploy.workers.base import AnyWorker

REQUEST_BYTES_MAX = 8_192
REQUEST_SECONDS_MAX = 5.0
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@asynccontextmanager
async def serving_health(
    worker: AnyWorker, is_wanted: bool, host: str | None = None, port: int | None = None, query_interval_seconds: float | None = None
) -> AsyncGenerator[asyncio.Server | None]:
    """Answer requests for the worker's health while the block lasts, if that is wanted.

    Host, port and interval are those of the settings unless given. Raises `ConfigurationError` when the address cannot be listened at.
    """
    if not is_wanted:
        yield None
        return
    server = await serve_health(worker, host, port, query_interval_seconds)
    async with server:
        yield server


async def serve_health(
    worker: AnyWorker, host: str | None = None, port: int | None = None, query_interval_seconds: float | None = None
) -> asyncio.Server:
    """Begin to answer requests; see `serving_health`."""
    settings = get_current_settings().worker
    host = host or settings.webserver.host
    port = settings.webserver.port if port is None else port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_SECONDS_MAX)
            method, path, *_ = head.decode("latin-1").split(" ", 2)
            status, kind, body = answer(worker, method, path.partition("?")[0], query_interval_seconds or settings.query_seconds)
            content = b"" if method == "HEAD" else body.encode()
            head_lines = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\nConnection: close"
            writer.write(f"{head_lines}\r\n\r\n".encode() + content)
            await writer.drain()
        except (TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return  # whoever asks in no HTTP, or goes away, gets no answer
        finally:
            writer.close()

    try:
        return await asyncio.start_server(serve, host, port, limit=REQUEST_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError(
            f"The worker's health cannot be served at {host}:{port}: {error.strerror or error}. "
            "Set HEADRACE_WORKER_WEBSERVER_PORT to a free port, or start the worker without --with-healthcheck."
        ) from error


def answer(worker: AnyWorker, method: str, path: str, query_interval_seconds: float) -> tuple[int, str, str]:
    """Return status, media type and body of the answer to a request."""
    if path not in ("/health", "/ready", "/metrics"):
        return 404, "application/json", '{"detail":"Not Found"}'
    if method not in ("GET", "HEAD"):
        return 405, "application/json", '{"detail":"Method Not Allowed"}'
    is_polling = worker.is_worker_still_polling(query_interval_seconds) or worker.is_stopping
    if path == "/metrics":
        return 200, "text/plain; version=0.0.4", metrics(worker, is_polling)
    if path == "/ready":
        message = "OK" if worker.is_ready else "The worker takes no runs at this time"
        return (200 if worker.is_ready else 503), "application/json", json.dumps({"message": message})
    message = "OK" if is_polling else "Worker may be unresponsive at this time"
    return (200 if is_polling else 503), "application/json", json.dumps({"message": message})


def metrics(worker: AnyWorker, is_polling: bool) -> str:
    """Return numbers about the worker in Prometheus' text format."""
    told = {
        "headrace_worker_runs": ("Flow runs that the worker has.", worker.running),
        "headrace_worker_runs_max": ("Flow runs that it may have at once; -1: any number.", -1 if worker.limit is None else worker.limit),
        "headrace_worker_ready": ("Whether it can take runs.", int(worker.is_ready)),
        "headrace_worker_polling": ("Whether it asks for runs.", int(is_polling)),
    }
    return "".join(f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n" for name, (text, value) in told.items())
