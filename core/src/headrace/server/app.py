"""The application: what an ASGI server calls. Builds nothing before its lifespan begins."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal, cast

from headrace.model import clock
from headrace.model.endpoints.base import Endpoint
from headrace.model.errors import InvalidRequest
from headrace.server import pages
from headrace.server.answers import NOT_FOUND, UNAVAILABLE, Answer, Headers, detail
from headrace.server.callers import caller_of
from headrace.server.calls import Call, owner_of
from headrace.server.gate import Gate
from headrace.server.lanes import Lane, Overloaded
from headrace.server.metrics import Metrics
from headrace.server.options import Options
from headrace.server.routes import Router, known_endpoints
from headrace.server.starting import install_blocks, take_over_from_the_dead, touch
from headrace.settings import Settings, get_current_settings
from headrace.store.database import Database

if TYPE_CHECKING:
    from headrace.server.streams.hub import Streams

READERS_SQLITE = 3
WRITERS_SQLITE = 1
THREADS_POSTGRES_MAX = 8
"""Of a lane: they wait for the database in turn, and more would spend more on waiting for each other than they gain."""
BODY_BYTES_MAX = 50_000_000
GZIP_BYTES_MIN = 16_384
"""Answers smaller than that are sent as they are: packing them costs more than sending them."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]
"""What serves a websocket: the application is `scope["app"]`, the path's parameters are `scope["path_params"]`."""

logger = logging.getLogger("headrace.server")


class Application:
    """The API on `database`, below `options.base_path`, with what stands around it.

    `mode` says which background services run beside it: all, or those alone that every process needs which answers requests.
    """

    def __init__(self, database: Database, options: Options, mode: Literal["all", "web"] = "web") -> None:
        self.database = database
        self.options = options
        self.metrics = Metrics()
        self.stopping = asyncio.Event()
        """Set when the server begins to stop, before connections are closed: websockets end then."""
        self.failure: BaseException | None = None
        """What kept it from starting."""
        self.when_failed: Callable[[], None] = lambda: None
        """Called when it cannot go on after all; set by whoever runs the server."""
        self.when_opened: Callable[[], None] = lambda: None
        """Called when it answers; set by whoever runs the server."""
        self.opened = asyncio.Event()
        """Set when everything that answers is loaded; until then only health is told."""
        self._mode: Literal["all", "web"] = mode
        self._streams: Streams | None = None
        self._gate = Gate(options)
        self._routes: Router[Endpoint[Any] | pages.Page] = Router()
        self._outside: Router[pages.Page] = Router()
        self._sockets: Router[Handler] = Router()
        for method, path, page in pages.INSIDE:
            self._routes.add(method, path, page)
        for method, path, page in pages.OUTSIDE:
            self._outside.add(method, path, page)
        self._calls: dict[Endpoint[Any], Call] = {}
        self._serve: Handler = self._serve_plain
        if options.cors_origins:
            from starlette.middleware.cors import CORSMiddleware

            self._with_cors: Any = CORSMiddleware(
                self._serve_plain,  # pyright: ignore[reportArgumentType]  # plain dicts where Starlette names its own
                allow_origins=options.cors_origins,
                allow_methods=options.cors_methods,
                allow_headers=options.cors_headers,
            )
            self._serve = self._serve_cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says it."""
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "websocket":
                await self._serve_socket(scope, receive, send)
            case _:
                await self._live(receive, send)

    # --- life --------------------------------------------------------------------------------------------------------

    async def _live(self, receive: Receive, send: Send) -> None:
        """Answer for health as soon as the database does; open for everything else when all of it is loaded."""
        await receive()
        self._writer, self._reader = self._lanes()
        async with AsyncExitStack() as held:
            held.push_async_callback(asyncio.to_thread, self._stop)
            try:
                await self.run(False, touch, self.database)
            except Exception as error:  # noqa: BLE001  # kept for whoever runs the server
                self.failure = error
                await send({"type": "lifespan.startup.failed", "message": ""})
                return
            await send({"type": "lifespan.startup.complete"})
            try:
                await self._open(held)
            except Exception as error:  # noqa: BLE001  # kept for whoever runs the server, which ends then
                self.failure = error
                self.when_failed()
            await receive()
            await self.begin_to_stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self, held: AsyncExitStack) -> None:
        streams_of, services_running = await asyncio.to_thread(self._load)
        streams = self._streams = streams_of(self.database, self._writer, self._reader, get_current_settings())
        for path, handler in streams.routes().items():
            self._sockets.add("GET", path, handler)
        await streams.start()
        held.push_async_callback(streams.stop)
        await held.enter_async_context(services_running(get_current_settings(), self.database, self._mode))
        self.opened.set()
        self.when_opened()
        beginning = asyncio.create_task(self._begin())
        held.callback(beginning.cancel)

    def _load(self) -> tuple[type[Streams], Callable[[Settings, Database, Literal["all", "web"]], AbstractAsyncContextManager[None]]]:
        """Import what answers requests and add the endpoints to the routes. Takes a while, so a thread does it."""
        from headrace.server.services import runtime
        from headrace.server.streams.hub import Streams

        for endpoint in known_endpoints():
            self._routes.add(endpoint.method, endpoint.path, endpoint)
        return Streams, runtime.running

    async def _begin(self) -> None:
        """Do what must be done once, but need not be waited for."""
        for work in (take_over_from_the_dead, install_blocks):
            try:
                await self.run(True, work, self.database)
            except Exception:  # the border: the server serves without it
                logger.exception("What the server does at its start has failed in part.")

    async def begin_to_stop(self) -> None:
        """Have the websockets closed with a reason, and take no new ones. Called before the server closes connections without one."""
        self.stopping.set()
        if self._streams is not None:
            await self._streams.close_sockets()

    def _lanes(self) -> tuple[Lane, Lane]:
        is_sqlite = self.database.url.startswith("sqlite")
        many = min(THREADS_POSTGRES_MAX, self.options.connections)
        return Lane("headrace-writer", WRITERS_SQLITE if is_sqlite else many), Lane("headrace-reader", READERS_SQLITE if is_sqlite else many)

    def _stop(self) -> None:
        self._writer.close()
        self._reader.close()
        self.database.close()

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _serve_cors(self, scope: Scope, receive: Receive, send: Send) -> None:
        for name, _ in scope["headers"]:
            if name == b"origin":
                await self._with_cors(scope, receive, send)
                return
        await self._serve_plain(scope, receive, send)

    async def _serve_plain(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = clock.monotonic() if self.options.metrics_enabled else 0.0
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            answer = await self._answer(scope, receive, headers)
        except InvalidRequest as error:
            answer = detail(error.status, str(error))
        except Overloaded:
            answer = UNAVAILABLE
        if self.options.metrics_enabled:
            self.metrics.count(scope["method"], answer.status, clock.monotonic() - began)
        if isinstance(answer.body, bytes):
            await _send_whole(send, answer, headers)
        else:
            await _send_parts(send, answer, answer.body)

    async def _answer(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Answer:
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        path = raw.decode("latin-1")
        method: str = scope["method"]
        base = self.options.base_path
        is_inside = path.startswith(base + "/")
        routes: Router[Any] = self._routes if is_inside else self._outside
        if is_inside:
            path = path[len(base) :]
        refused = self._gate.refuse(method, path, headers, is_inside=is_inside)
        if refused is not None:
            return refused
        if not self.opened.is_set() and not (is_inside and path == "/health"):
            await self.opened.wait()
        caller = caller_of(headers, scope["scheme"], base) if is_inside and path not in pages.UNVERSIONED else None
        found = routes.find(method, path)
        if isinstance(found, frozenset):
            return self._miss(scope, found, routes, path, base if is_inside else "")
        target, parameters = found
        if caller is None or not isinstance(target, Endpoint):
            return await target.answer(pages.Request(self, scope, headers, parameters))
        call = self.call_of(cast("Endpoint[Any]", target))
        body = await _body(receive)
        if body is None:
            return detail(413, f"The body is larger than {BODY_BYTES_MAX} bytes.")
        if call.names_taken:
            parameters.update(owner_of(headers, call.names_taken))
        token = self._gate.token_to_check(method, headers)
        return await self.run(call.operation.writes, call.perform, self.database, parameters, scope["query_string"], body, caller, token)

    def call_of(self, endpoint: Endpoint[Any]) -> Call:
        """Return what performs `endpoint`."""
        call = self._calls.get(endpoint)
        if call is None:
            call = self._calls[endpoint] = Call(endpoint, self.options)
        return call

    def run(self, writes: bool, work: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        """Have a thread call `work`: the one that writes, or one of those that read. Raises `Overloaded`."""
        return (self._writer if writes else self._reader).run(work, *arguments)

    def calls_waiting(self) -> dict[str, int]:
        """Return how many calls each lane has."""
        return {"write": self._writer.waiting, "read": self._reader.waiting}

    def _miss(self, scope: Scope, methods: frozenset[str], routes: Router[Any], path: str, base: str) -> Answer:
        if methods:
            return detail(405, "Method Not Allowed", ((b"allow", ", ".join(sorted(methods)).encode()),))
        other = path[:-1] if path.endswith("/") else path + "/"
        if path[:1] != "/" or path == "/" or other == "/" or routes.find(scope["method"], other) == frozenset():
            return NOT_FOUND
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        location = f"{scope['scheme']}://{host}{base}{other}{'?' + query if query else ''}"
        return Answer(307, headers=((b"location", location.encode("latin-1")),))

    # --- websockets --------------------------------------------------------------------------------------------------

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.opened.wait()
        path: str = scope["path"]
        base = self.options.base_path
        found = self._sockets.find("GET", path[len(base) :]) if path.startswith(base + "/") else frozenset[str]()
        if isinstance(found, frozenset):
            await receive()
            await send({"type": "websocket.close", "code": 1000})  # before it is accepted: HTTP 403
            return
        handler, parameters = found
        scope["app"] = self
        scope["path_params"] = parameters
        await handler(scope, receive, send)


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body, or None for one that is too long."""
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


async def _send_whole(send: Send, answer: Answer, headers: dict[bytes, bytes]) -> None:
    body = answer.body
    assert isinstance(body, bytes)
    sent: list[tuple[bytes, bytes]] = [] if answer.status in (204, 307) else [(b"content-type", answer.media_type)]
    if len(body) >= GZIP_BYTES_MIN and b"gzip" in headers.get(b"accept-encoding", b""):
        body = await asyncio.to_thread(gzip.compress, body, 5)
        sent += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    if answer.status != 204:
        sent.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": [*sent, *answer.headers]})
    await send({"type": "http.response.body", "body": body})


async def _send_parts(send: Send, answer: Answer, parts: AsyncIterator[bytes]) -> None:
    sent: Headers = ((b"content-type", answer.media_type), *answer.headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": list(sent)})
    async for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
