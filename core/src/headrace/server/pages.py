"""Routes that are no operations, each named here: health, documentation, metrics, downloads, what the user interface asks first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.model.errors import StoreError
from headrace.server import downloads, metrics
from headrace.server.answers import NOT_FOUND, Answer, as_json
from headrace.server.callers import API_VERSION
from headrace.server.starting import touch
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from headrace.server.app import Application

HTML = b"text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a page: the application, the connection's ASGI scope, its headers and the path's parameters."""

    app: Application
    scope: dict[str, Any]
    headers: dict[bytes, bytes]
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """What answers a route. `returns` is the type of the answer where the page belongs to the documented API."""

    answer: Callable[[Request], Awaitable[Answer]]
    returns: Any = None
    media_type: str = "application/json"


def _fixed(answer: Answer) -> Callable[[Request], Awaitable[Answer]]:
    async def give(request: Request) -> Answer:
        return answer

    return give


async def ready(request: Request) -> Answer:
    """Say whether requests can be answered: whether the database can be read."""
    try:
        await request.app.run(False, touch, request.app.database)
    except (StoreError, OSError):
        return as_json({"message": "Database is not available"}, 503)
    return as_json({"message": "OK"})


async def read_metrics(request: Request) -> Answer:
    """Write metrics for Prometheus, where the setting `server.metrics_enabled` says so."""
    app = request.app
    if not app.options.metrics_enabled:
        return NOT_FOUND
    runs = await app.run(False, metrics.runs_by_state, app.database)
    return Answer(200, app.metrics.written(app.calls_waiting(), runs), metrics.MEDIA_TYPE)


async def openapi_document(request: Request) -> Answer:
    """Describe the API in OpenAPI."""
    return Answer(200, await asyncio.to_thread(_document, request.app))


def _document(app: Application) -> bytes:
    from headrace.server.openapi import document

    return document(app.options.base_path)


async def docs(request: Request) -> Answer:
    """Show the API in a browser."""
    from fastapi.openapi.docs import get_swagger_ui_html

    page = get_swagger_ui_html(openapi_url=f"{request.app.options.base_path}/openapi.json", title="headrace: the API")
    return Answer(200, bytes(page.body), HTML)


async def ui_settings(request: Request) -> Answer:
    """Tell a user interface where the API is and what it has to send."""
    ui = get_current_settings().server.ui
    options = request.app.options
    return as_json(
        {
            "api_url": ui.api_url,
            "csrf_enabled": options.csrf_enabled,
            "auth": "BASIC" if options.auth_string is not None else None,
            "flags": [],
            "default_ui": "v1",
            "available_uis": [],
            "v1_base_url": ui.serve_base,
            "v2_base_url": None,
        }
    )


async def root(request: Request) -> Answer:
    """Point a browser to the documentation."""
    return Answer(200, _ROOT.encode(), HTML)


_ROOT = """<!doctype html><title>headrace</title>
<p>The headrace server is running. <a href="/docs">Its API</a> can be tried out here.</p>
"""

UNVERSIONED = frozenset({"/health", "/version"})
"""Pages that answer whatever API version a client names."""

_DOCUMENT, _DOCS, _METRICS = Page(openapi_document), Page(docs), Page(read_metrics)

INSIDE = (
    ("GET", "/health", Page(_fixed(as_json(True)), returns=bool)),
    ("GET", "/ready", Page(ready, returns=Any)),
    ("GET", "/hello", Page(_fixed(as_json("👋")), returns=str)),
    ("GET", "/version", Page(_fixed(as_json(API_VERSION)), returns=str)),
    ("GET", "/flow_runs/{id}/logs/download", Page(downloads.flow_run_logs, returns=Any)),
    ("GET", "/metrics", _METRICS),
    ("GET", "/openapi.json", _DOCUMENT),
    ("GET", "/docs", _DOCS),
)
OUTSIDE = (
    ("GET", "/", Page(root)),
    ("GET", "/ui-settings", Page(ui_settings)),
    ("GET", "/metrics", _METRICS),
    ("GET", "/openapi.json", _DOCUMENT),
    ("GET", "/docs", _DOCS),
)
