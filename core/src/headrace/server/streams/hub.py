"""All streams of one server process: which path is served by what, and their common beginning and end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from headrace.model.errors import StoreUnavailable
from headrace.server.lanes import Lane, Overloaded
from headrace.server.streams.bus import Bus
from headrace.server.streams.dispatch_desk import DispatchDesk
from headrace.server.streams.intake import Intake
from headrace.server.streams.outgoing import Outlet
from headrace.server.streams.sockets import SERVICE_RESTART, TRY_AGAIN_LATER, Closed, Receive, Scope, Send, Socket, open_socket
from headrace.server.streams.task_desk import TaskDesk
from headrace.server.streams.topics import EVENTS, LOGS
from headrace.settings import Settings
from headrace.store.database import Database

INTERNAL_ERROR = 1011
FLUSH_SECONDS_MAX = 10.0

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger("headrace.server.streams")

running: list[Streams] = []
"""Those of the servers of this process that run, the newest last: what the documented functions of this process speak of."""


class Streams:
    """The websockets of a server. Made in its event loop; `writer` and `reader` are the threads that may wait for the database."""

    def __init__(self, database: Database, writer: Lane, reader: Lane, settings: Settings) -> None:
        server = settings.server
        secret = server.api.auth_string
        self._auth_string = secret.get_secret_value() if secret is not None else None
        self.database = database
        self.bus = Bus(database, (EVENTS, LOGS))
        self.outlet = Outlet(
            database,
            self.bus,
            reader.run,
            backfill_max=server.events.maximum_websocket_backfill,
            page=server.events.websocket_backfill_page_size,
        )
        live = {EVENTS.name: server.events.stream_out_enabled, LOGS.name: server.logs.stream_out_enabled and server.logs.stream_publishing_enabled}
        self.outlet.live = frozenset(name for name, is_on in live.items() if is_on)
        self._intake = Intake(database, writer.run, server.events.maximum_size_bytes)
        self._desk = TaskDesk(database, writer.run, reader.run, server.tasks.scheduling.pending_task_timeout)
        self._dispatch = DispatchDesk(database, reader.run)
        self._sockets: set[Socket] = set()
        self._is_ending = False
        self.loop = asyncio.get_running_loop()
        self._serving: dict[str, Callable[[Socket], Awaitable[None]]] = {
            "/events/in": self._intake.serve,
            "/events/out": self.outlet.events,
            "/logs/out": self.outlet.logs,
            "/task_runs/subscriptions/scheduled": self._desk.serve,
            "/flow_runs/subscriptions/due": self._dispatch.serve,
        }

    async def start(self) -> None:
        """Begin to serve."""
        await self.bus.start()
        await self.bus.follow()
        self.bus.watch("task_runs", self._desk.stir)
        self.bus.watch("runs", self._dispatch.stir)
        self._intake.start()
        self._desk.start()
        self._dispatch.start()
        running.append(self)

    def routes(self) -> dict[str, Handler]:
        """Return what serves each path, below the API's, as ASGI says it."""

        def handler(path: str) -> Handler:
            return lambda scope, receive, send: self.attend(path, Socket(scope, receive, send))

        return {path: handler(path) for path in self._serving}

    async def attend(self, path: str, socket: Socket) -> None:
        """Serve one websocket that is about to be opened, until it is closed. A server that is about to stop answers HTTP 403."""
        if self._is_ending:
            await socket.receive()
            await socket.refuse()
            return
        self._sockets.add(socket)
        try:
            if await open_socket(socket, self._auth_string):
                await self._serving[path](socket)
        except Closed:
            pass
        except (StoreUnavailable, Overloaded) as error:
            logger.warning("The websocket of %s at %s is closed, since the server is too busy: %s", socket.client, path, error)
            await socket.close(TRY_AGAIN_LATER, "The server is too busy; connect again")
        except Exception:  # the border: the client hears that it was not its fault
            logger.exception("The websocket of %s at %s ended with an error.", socket.client, path)
            await socket.close(INTERNAL_ERROR, "The server failed; its log says why")
        finally:
            self._sockets.discard(socket)

    async def close_sockets(self) -> None:
        """Close every connection and let no new one in: the server is about to stop."""
        self._is_ending = True
        await asyncio.gather(*(socket.close(SERVICE_RESTART, "The server is stopping; connect again") for socket in self._sockets))

    async def stop(self) -> None:
        """Close every connection, record the events that have arrived, give back the task runs that nobody has confirmed."""
        await self.close_sockets()
        await self._intake.stop(FLUSH_SECONDS_MAX)
        await self._desk.stop()
        await self._dispatch.stop()
        await self.bus.stop()
        running.remove(self)
