"""The health of workers and runners by HTTP. A few lines of HTTP need no server library.

A worker: `/health` (it asks for runs), `/ready` (it can take runs), `/metrics`. A runner: `/health`, `/run_count` and, for those who know the
token, `POST /shutdown`.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.model import clock
from headrace.model.errors import ConfigurationError
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.deploy.runner import Runner
    from headrace.deploy.workers.base import AnyWorker

REQUEST_BYTES_MAX = 8_192
REQUEST_SECONDS_MAX = 5.0
_REASONS = {200: "OK", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with."""

    status: int
    body: str
    media_type: str = "application/json"


Routes = Mapping[tuple[str, str], Callable[[str], Answer]]
"""What answers a method and path, given the request's `Authorization`. What answers GET answers HEAD too."""


async def listen(routes: Routes, host: str, port: int, whose: str, otherwise: str) -> asyncio.Server:
    """Begin to answer requests. Raises `ConfigurationError`, which says `whose` health it is and what to do `otherwise`, for an address in use."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_SECONDS_MAX)
            writer.write(_answered(routes, head.decode("latin-1")))
            await writer.drain()
        except (TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return  # whoever asks in no HTTP, or goes away, gets no answer
        finally:
            writer.close()

    try:
        return await asyncio.start_server(serve, host, port, limit=REQUEST_BYTES_MAX)
    except OSError as error:
        raise ConfigurationError(f"The {whose}'s health cannot be served at {host}:{port}: {error.strerror or error}. {otherwise}") from error


def _answered(routes: Routes, head: str) -> bytes:
    method, target, *_ = head.split(" ", 2)
    path = target.partition("?")[0]
    asked = routes.get(("GET" if method == "HEAD" else method, path))
    if asked is not None:
        answer = asked(next((line.partition(":")[2].strip() for line in head.split("\r\n") if line.lower().startswith("authorization:")), ""))
    elif any(path == known for _, known in routes):
        answer = Answer(405, '{"detail":"Method Not Allowed"}')
    else:
        answer = Answer(404, '{"detail":"Not Found"}')
    body = answer.body.encode()
    lines = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}",
        f"Content-Type: {answer.media_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + (b"" if method == "HEAD" else body)


# --- of workers -----------------------------------------------------------------------------------------------------------------


async def serve_worker_health(worker: AnyWorker, query_interval_seconds: float | None = None) -> asyncio.Server:
    """Begin to answer requests where the settings `worker.webserver` say; the interval is that of the settings unless given.

    Raises `ConfigurationError` when that address cannot be listened at.
    """
    settings = get_current_settings().worker
    interval = query_interval_seconds or settings.query_seconds

    def is_polling() -> bool:
        return worker.is_worker_still_polling(interval) or worker.is_stopping

    def told(holds: bool, otherwise: str) -> Answer:
        return Answer(200 if holds else 503, json.dumps({"message": "OK" if holds else otherwise}))

    routes: Routes = {
        ("GET", "/health"): lambda _: told(is_polling(), "Worker may be unresponsive at this time"),
        ("GET", "/ready"): lambda _: told(worker.is_ready, "The worker takes no runs at this time"),
        ("GET", "/metrics"): lambda _: Answer(200, metrics(worker, is_polling()), "text/plain; version=0.0.4"),
    }
    otherwise = "Set HEADRACE_WORKER_WEBSERVER_PORT to a free port, or start the worker without --with-healthcheck."
    return await listen(routes, settings.webserver.host, settings.webserver.port, "worker", otherwise)


def metrics(worker: AnyWorker, is_polling: bool) -> str:
    """Return numbers about the worker in Prometheus' text format."""
    told = {
        "headrace_worker_runs": ("Flow runs that the worker has.", worker.running),
        "headrace_worker_runs_max": ("Flow runs that it may have at once; -1: any number.", -1 if worker.limit is None else worker.limit),
        "headrace_worker_ready": ("Whether it can take runs.", int(worker.is_ready)),
        "headrace_worker_polling": ("Whether it asks for runs.", int(is_polling)),
    }
    return "".join(f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n" for name, (text, value) in told.items())


@asynccontextmanager
async def serving_worker_health(worker: AnyWorker, is_wanted: bool) -> AsyncGenerator[None]:
    """Answer requests for the worker's health while the block lasts, if that is wanted. Raises as `serve_worker_health`."""
    if not is_wanted:
        yield
        return
    async with await serve_worker_health(worker):
        yield


# --- of runners -----------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving_runner_health(runner: Runner, is_wanted: bool) -> AsyncGenerator[None]:
    """Answer requests for the runner's health while the block lasts, if that is wanted, where the settings `runner.server` say.

    Raises `ConfigurationError` when that address cannot be listened at.
    """
    if not is_wanted:
        yield
        return
    settings = get_current_settings().runner.server
    token = secrets.token_urlsafe(16)

    def shut_down(authorization: str) -> Answer:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return Answer(403, '{"detail":"The token that the runner printed when it started is needed."}')
        runner.stop()
        return Answer(200, '{"message":"Stopping"}')

    routes: Routes = {
        ("GET", "/health"): lambda _: _runner_health(runner, settings.missed_polls_tolerance * runner.query_seconds),
        ("GET", "/run_count"): lambda _: Answer(200, str(runner.running)),
        ("POST", "/shutdown"): shut_down,
    }
    otherwise = "Set HEADRACE_RUNNER_SERVER_PORT to a free port, or leave `webserver` out."
    async with await listen(routes, settings.host, settings.port, "runner", otherwise) as server:
        port = server.sockets[0].getsockname()[1]
        runner.logger.info(
            "Health at http://%s:%s/health. To stop the runner: POST /shutdown with 'Authorization: Bearer %s'.", settings.host, port, token
        )
        yield


def _runner_health(runner: Runner, tolerated_seconds: float) -> Answer:
    since = (clock.now() - runner.last_polled).total_seconds() if runner.last_polled is not None else 0.0
    if since > tolerated_seconds:
        return Answer(503, json.dumps({"message": "Runner is unresponsive at this time", "seconds_since_last_polling": since}))
    return Answer(200, json.dumps({"message": "OK"}))
