"""The application: what an ASGI server calls. Builds nothing before its lifespan begins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from uuid import UUID

from headrace.model import endpoints
from headrace.model.endpoints.base import Endpoint
from headrace.model.errors import InvalidRequest
from headrace.server.answers import NOT_FOUND, UNAVAILABLE, Answer, as_json, detail
from headrace.server.callers import API_VERSION, caller_of
from headrace.server.calls import OWNER_HEADER, Call
from headrace.server.lanes import Lane, Overloaded
from headrace.server.routes import Router
from headrace.store.database import Database

READERS = 3
BODY_BYTES_MAX = 50_000_000

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

logger = logging.getLogger("headrace.server")


def known_endpoints() -> Iterable[Endpoint[Any]]:
    """Return every endpoint of the table."""
    found: dict[Endpoint[Any], None] = {}
    for module in iter_modules(endpoints.__path__):
        for value in vars(import_module(f"{endpoints.__name__}.{module.name}")).values():
            if isinstance(value, Endpoint):
                found[value] = None
    return found


class Application:
    """The API on `database`, below `base_path`."""

    def __init__(self, database: Database, base_path: str = "/api") -> None:
        self.database = database
        self.base_path = base_path.rstrip("/")
        self._routes: Router[Endpoint[Any]] = Router()
        self._calls: dict[Endpoint[Any], Call] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says it."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._stop)
        await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> None:
        self._writer = Lane("headrace-writer", 1)
        self._reader = Lane("headrace-reader", READERS)
        for endpoint in known_endpoints():
            self._routes.add(endpoint.method, endpoint.path, endpoint)

    def _stop(self) -> None:
        self._writer.close()
        self._reader.close()
        self.database.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            answer = await self._answer(scope, receive, headers)
        except InvalidRequest as error:
            answer = detail(error.status, str(error))
        except Overloaded:
            answer = UNAVAILABLE
        sent = [(b"content-type", answer.media_type), (b"content-length", b"%d" % len(answer.body)), *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": sent[2:] if answer.status == 204 else sent})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Answer:
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        path = raw.decode("latin-1")
        if not path.startswith(self.base_path + "/"):
            return NOT_FOUND
        path = path[len(self.base_path) :]
        method: str = scope["method"]
        if method == "GET" and path in _FIXED:
            return _FIXED[path]
        caller = caller_of(headers)
        found = self._routes.find(method, path)
        if isinstance(found, frozenset):
            if found:
                return detail(405, "Method Not Allowed", ((b"allow", ", ".join(sorted(found)).encode()),))
            return self._elsewhere(scope, path)
        endpoint, parameters = found
        call = self._calls.get(endpoint)
        if call is None:
            call = self._calls[endpoint] = Call(endpoint)
        body = await _body(receive)
        if body is None:
            return detail(413, f"The body is larger than {BODY_BYTES_MAX} bytes.")
        if call.takes_owner and OWNER_HEADER in headers:
            parameters["owner"] = UUID(headers[OWNER_HEADER].decode("latin-1"))
        lane = self._writer if call.operation.writes else self._reader
        return await lane.run(call.perform, self.database, parameters, scope["query_string"], body, caller)

    def _elsewhere(self, scope: Scope, path: str) -> Answer:
        other = path[:-1] if path.endswith("/") else path + "/"
        found = self._routes.find(scope["method"], other)
        if isinstance(found, frozenset) and not found:
            return NOT_FOUND
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        location = f"{scope['scheme']}://{host}{self.base_path}{other}{'?' + query if query else ''}"
        return Answer(307, headers=((b"location", location.encode("latin-1")),))


_FIXED = {"/health": as_json(True), "/ready": as_json({"message": "OK"}), "/hello": as_json("👋"), "/version": as_json(API_VERSION)}


async def _body(receive: Receive) -> bytes | None:
    event = await receive()
    if not event.get("more_body"):
        return event.get("body", b"")
    parts: list[bytes] = [event.get("body", b"")]
    size = len(parts[0])
    while event.get("more_body"):
        event = await receive()
        part = event.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            return None
        parts.append(part)
    return b"".join(parts)
