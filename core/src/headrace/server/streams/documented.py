"""The documented functions on streams, for code that runs inside a server's process or makes a small one of its own.

They speak of the server that runs in the same event loop; where none runs, of the database in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any, NoReturn, Protocol

from headrace.model import clock
from headrace.model.caller import Caller
from headrace.model.endpoints import events as endpoints
from headrace.model.endpoints.base import Endpoint
from headrace.model.event_filters import Countable, CountEvents, EventCount, EventFilter, EventPage, FilterEvents, TimeUnit
from headrace.model.events import Event, SentEvent
from headrace.model.logs import Log
from headrace.model.run_filters import LogFilter
from headrace.operations import table
from headrace.operations.streams import LogLine
from headrace.server.database import database_in_force
from headrace.server.streams.bus import QUEUE_MAX, Bus, Envelope
from headrace.server.streams.hub import Streams, running
from headrace.server.streams.sockets import Socket
from headrace.server.streams.topics import EVENTS, LOGS, log_predicate
from headrace.store.codec import microseconds
from headrace.store.database import Database

IDLE_SECONDS = 1.0

_own: dict[asyncio.AbstractEventLoop, tuple[Bus, list[asyncio.Task[NoReturn]]]] = {}


class Message(Protocol):
    """What a message handler gets: `data` is JSON."""

    @property
    def data(self) -> str | bytes: ...


def _server() -> Streams | None:
    """Return the streams of the server that runs in this event loop."""
    loop = asyncio.get_running_loop()
    return next((streams for streams in reversed(running) if streams.loop is loop), None)


def _database() -> Database:
    streams = _server()
    return streams.database if streams is not None else database_in_force()


async def _bus() -> Bus:
    """Return the bus of the server that runs here, else one for this event loop, which distributes once it is told to."""
    streams = _server()
    if streams is not None:
        return streams.bus
    loop = asyncio.get_running_loop()
    if loop not in _own:
        for old in [old for old in _own if old.is_closed()]:
            del _own[old]
        bus = Bus(_database(), (EVENTS, LOGS))
        await bus.start()
        _own[loop] = bus, []
    return _own[loop][0]


# --- logs ---------------------------------------------------------------------------------------------------------------


def log_matches_filter(log: Log, filter: LogFilter) -> bool:
    """Say whether a log line matches a filter: the same lines as the listing of logs finds."""
    return log_predicate(filter)(_line(log))


def _line(log: Log) -> LogLine:
    timestamp = log.timestamp if log.timestamp.tzinfo is not None else log.timestamp.replace(tzinfo=UTC)
    return log.id, log.name, log.level, log.message, microseconds(timestamp), log.flow_run_id, log.task_run_id


def _log(line: LogLine) -> Log:
    id, name, level, message, timestamp, flow_run_id, task_run_id = line
    return Log.model_validate(
        {
            "id": id,
            "name": name,
            "level": level,
            "message": message,
            "timestamp": clock.from_us(timestamp),
            "flow_run_id": flow_run_id,
            "task_run_id": task_run_id,
        }
    )


class _Inbox:
    """Puts what comes into a queue; what finds it full is dropped."""

    def __init__(self, accepts: Callable[[Any], bool]) -> None:
        self._accepts = accepts
        self.queue: asyncio.Queue[Log] = asyncio.Queue(QUEUE_MAX)

    def offer(self, envelope: Envelope) -> None:
        if self._accepts(envelope.message) and not self.queue.full():
            self.queue.put_nowait(_log(envelope.message))

    def lose(self, count: int) -> None:
        pass  # a queue has no place to say so


@asynccontextmanager
async def subscribed(filter: LogFilter) -> AsyncGenerator[asyncio.Queue[Log], None]:
    """Yield a queue that log lines matching `filter` are put into while the block lasts; lines that find it full (256) are dropped."""
    bus, inbox = await _bus(), _Inbox(log_predicate(filter))
    await bus.add(LOGS.name, inbox)
    try:
        yield inbox.queue
    finally:
        bus.remove(LOGS.name, inbox)


@asynccontextmanager
async def logs(filter: LogFilter) -> AsyncGenerator[AsyncIterable[Log | None], None]:
    """Yield a stream of log lines that match `filter`; a second without any gives None, so that the reader can look around."""
    async with subscribed(filter) as queue:

        async def stream() -> AsyncGenerator[Log | None, None]:
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), IDLE_SECONDS)
                except TimeoutError:
                    yield None

        yield stream()


@asynccontextmanager
async def distributor() -> AsyncGenerator[Callable[[Message], Awaitable[None]], None]:
    """Yield a message handler that hands the log line in a message's `data` (JSON) to the subscribers of this process."""
    bus = await _bus()

    async def handle(message: Message) -> None:
        bus.announce([(LOGS.name, [_line(Log.model_validate_json(message.data))])])

    yield handle


async def start_distributor() -> None:
    """Distribute what is written to the database, as a background task; a server that runs here does so anyway."""
    bus = await _bus()
    own = _own.get(asyncio.get_running_loop())
    if own is not None and own[0] is bus and not own[1]:
        started = asyncio.Event()
        own[1].append(asyncio.create_task(run_distributor(started)))
        await started.wait()


async def stop_distributor() -> None:
    """End what `start_distributor` started."""
    own = _own.get(asyncio.get_running_loop())
    if own is not None:
        for task in own[1]:
            task.cancel()
        await asyncio.gather(*own[1], return_exceptions=True)
        own[1].clear()


async def run_distributor(started: asyncio.Event) -> NoReturn:
    """Distribute until this is cancelled; `started` is set once it does. Beside a server that runs here there is nothing more to do."""
    bus = await _bus()
    is_own = _server() is None
    if is_own:
        await bus.follow()
    try:
        started.set()
        while True:
            await asyncio.Event().wait()
    finally:
        if is_own:
            await bus.unfollow()


# --- events -------------------------------------------------------------------------------------------------------------


async def _answer(endpoint: Endpoint[Any], body: Any, request: Any = None, db: Database | None = None, **parameters: Any) -> Any:
    caller = Caller(is_server=True, base_url=None if request is None else f"{str(request.base_url).rstrip('/')}/api")
    answer, _ = await asyncio.to_thread(table.answer, db or _database(), endpoint, body, parameters, caller)
    return answer


async def create_events(events: list[Event], ephemeral_request: bool = False, db: Database | None = None) -> None:
    """Record a batch of events, each once. `ephemeral_request` makes no difference: they are stored at once in any case."""
    await _answer(endpoints.RECORD_EVENTS, [SentEvent.model_validate(event.model_dump()) for event in events], db=db)


async def read_events(request: Any = None, filter: EventFilter | None = None, limit: int = 50, db: Database | None = None) -> EventPage:
    """Return the first page of the events that match, at most 50, and where the next one is: a URL below that of `request`, or else a token."""
    return await _answer(endpoints.FILTER_EVENTS, FilterEvents(filter=filter, limit=limit), request, db)


async def read_account_events_page(request: Any = None, page_token: str = "", db: Database | None = None) -> EventPage:
    """Return the page after another, by its token. Raises `InvalidRequest` for a token that no page gave."""
    return await _answer(endpoints.READ_NEXT_EVENTS, None, request, db, page_token=page_token)


async def count_account_events(
    filter: EventFilter, countable: Countable, time_unit: TimeUnit = TimeUnit.day, time_interval: float = 1.0, db: Database | None = None
) -> list[EventCount]:
    """Return the distinct days, intervals, kinds of events or resources of the events that match, and how many events each has."""
    body = CountEvents(filter=filter, time_unit=time_unit, time_interval=time_interval)
    return await _answer(endpoints.COUNT_EVENTS, body, db=db, countable=countable)


def _streams() -> Streams:
    streams = _server()
    if streams is None:
        raise RuntimeError("No server runs in this event loop, so there is nothing to serve a websocket from. Start one: `headrace server start`.")
    return streams


class WebSocket(Protocol):
    """What is asked of a websocket that Starlette or FastAPI accepted or is about to accept."""

    @property
    def scope(self) -> Any: ...
    async def receive(self) -> Any: ...
    async def send(self, message: Any) -> None: ...


async def stream_events_in(websocket: WebSocket) -> None:
    """Serve a websocket that sends events, one a message: see `/events/in`. Raises `RuntimeError` where no server runs."""
    await _streams().attend("/events/in", Socket(websocket.scope, websocket.receive, websocket.send))


async def stream_workspace_events_out(websocket: WebSocket) -> None:
    """Serve a websocket that subscribes to events: see `/events/out`. Raises `RuntimeError` where no server runs."""
    await _streams().attend("/events/out", Socket(websocket.scope, websocket.receive, websocket.send))
