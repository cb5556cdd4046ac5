"""Hearing events and log lines as they happen: each once, and none left out while a connection was broken."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections import OrderedDict
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast
from uuid import UUID

from headrace.client.codec import encode
from headrace.client.connect import current_client
from headrace.client.websocket import Reconnecting, api_url, events_out_socket_from_api_url, logs_out_socket_from_api_url
from headrace.model import clock
from headrace.model.event_filters import EventFilter, EventOccurredFilter
from headrace.model.events import Event, ReceivedEvent
from headrace.model.logs import Log

if TYPE_CHECKING:
    from headrace.model.run_filters import LogFilter

T = TypeVar("T", ReceivedEvent, Log)

BACKFILL = timedelta(minutes=1)
"""How far back a subscription begins, and how much of what was heard before is asked for again after a break."""

SEEN_MAX = 10_000
UNTIL = timedelta(days=365)
PAGE_LINES = 200
ENDS = frozenset(f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Crashed", "Cancelled"))


class _Subscriber(ABC, Generic[T]):
    """Iterates what a server sends. Open it with `async with`, then use `async for`."""

    def __init__(self, url: str, reconnection_attempts: int, reconnect_on_clean_close: bool) -> None:
        self._connection = Reconnecting(url, reconnection_attempts)
        self._reconnects_on_clean_close = reconnect_on_clean_close
        self._seen: OrderedDict[UUID, None] = OrderedDict()
        self._missed: list[T] = []
        self._was_broken = False

    @property
    def client_name(self) -> str:
        """The name of this kind of subscriber."""
        return type(self).__name__

    @abstractmethod
    def _request(self) -> dict[str, Any]:
        """Return the message that says what is wanted."""

    @abstractmethod
    def _read(self, message: dict[str, Any]) -> T: ...

    async def _catch_up(self) -> list[T]:
        """Return what was missed while the connection was broken, where the server does not send it by itself."""
        return []

    async def __aenter__(self) -> Self:
        """Connect. Raises `ServerUnreachable`, and `HeadraceHTTPStatusError` for wrong credentials."""
        await self._connection.open(self._request())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._connection.drop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Wait for the next one. Connects again after a break; ends when the server says that there is nothing more."""
        while True:
            found = self._missed.pop(0) if self._missed else await self._receive()
            if found is not None and found.id not in self._seen:
                self._seen[found.id] = None
                if len(self._seen) > SEEN_MAX:
                    self._seen.popitem(last=False)
                return found

    async def _receive(self) -> T | None:
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

        connection = await self._connection.open(self._request())
        if self._was_broken:
            self._was_broken = False
            self._missed = await self._catch_up()
            return None
        try:
            return self._read(json.loads(await connection.recv()))
        except ConnectionClosed as closed:
            await self._connection.drop()
            if isinstance(closed, ConnectionClosedOK) and not self._reconnects_on_clean_close:
                raise StopAsyncIteration from None
            self._was_broken = True
            return None


class HeadraceEventSubscriber(_Subscriber[ReceivedEvent]):
    """Iterate events as they happen, those of the last minute first.

    wanted = EventFilter(event=EventNameFilter(prefix=["prefect.flow-run."]))
    async with HeadraceEventSubscriber(filter=wanted) as subscriber:
        async for event in subscriber:
            print(event.occurred, event.resource.id, event.event)
    """

    def __init__(self, filter: EventFilter | None = None, reconnection_attempts: int = 10, reconnect_on_clean_close: bool = False) -> None:
        """Prepare to hear the events that match. `reconnection_attempts`: how often in a row to connect again after a break.

        Without `reconnect_on_clean_close` a server that closes the connection properly ends the iteration. Raises `ConfigurationError` without a
        server.
        """
        super().__init__(events_out_socket_from_api_url(api_url("Listening to events")), reconnection_attempts, reconnect_on_clean_close)
        self._filter = filter or EventFilter()
        self._latest: datetime | None = None

    def _request(self) -> dict[str, Any]:
        wanted = cast("dict[str, Any]", json.loads(encode(self._filter)))
        given = self._filter.occurred
        since = (self._latest or clock.now()) - BACKFILL
        if self._latest is None and "since" in given.model_fields_set:
            since = given.since
        until = given.until if "until" in given.model_fields_set else clock.now() + UNTIL
        wanted["occurred"] = json.loads(encode(EventOccurredFilter(since=since, until=until)))
        return {"type": "filter", "filter": wanted}

    def _read(self, message: dict[str, Any]) -> ReceivedEvent:
        event = ReceivedEvent.model_validate(message["event"])
        self._latest = max(self._latest or event.occurred, event.occurred)
        return event


class HeadraceLogsSubscriber(_Subscriber[Log]):
    """Iterate log lines as they are written.

    async with HeadraceLogsSubscriber(filter=LogFilter(level=LogFilterLevel(ge_=logging.INFO))) as subscriber:
        async for log in subscriber:
            print(log.timestamp, log.level, log.message)
    """

    def __init__(self, filter: LogFilter | None = None, reconnection_attempts: int = 10, reconnect_on_clean_close: bool = False) -> None:
        """Prepare to hear the lines that match; the other options are those of `HeadraceEventSubscriber`."""
        from headrace.model.run_filters import LogFilter

        super().__init__(logs_out_socket_from_api_url(api_url("Listening to logs")), reconnection_attempts, reconnect_on_clean_close)
        self._filter = filter or LogFilter()
        self._heard_until = clock.now()

    def _request(self) -> dict[str, Any]:
        return {"type": "filter", "filter": json.loads(encode(self._filter))}

    def _read(self, message: dict[str, Any]) -> Log:
        log = Log.model_validate(message["log"])
        self._heard_until = max(self._heard_until, log.timestamp)
        return log

    async def _catch_up(self) -> list[Log]:
        from headrace.model.endpoints.logs import FILTER_LOGS
        from headrace.model.logs import LogSort
        from headrace.model.run_filters import LogFilterTimestamp
        from headrace.model.run_queries import LogQuery

        since = LogFilterTimestamp(after_=self._heard_until - BACKFILL, before_=self._filter.timestamp.before_ if self._filter.timestamp else None)
        wanted = self._filter.model_copy(update={"timestamp": since})
        found: list[Log] = []
        while True:
            query = LogQuery(logs=wanted, sort=LogSort.TIMESTAMP_ASC, limit=PAGE_LINES, offset=len(found))
            page = await current_client().call(FILTER_LOGS, query)
            found += page
            if len(page) < PAGE_LINES or len(found) >= SEEN_MAX:
                return found


class FlowRunSubscriber:
    """Iterate the events and the log lines of one flow run as they come, until it has ended and no more lines come."""

    def __init__(self, flow_run_id: UUID, straggler_timeout: int = 3, reconnection_attempts: int = 10) -> None:
        """Prepare to hear of a flow run. `straggler_timeout`: seconds without a line after which, the run having ended, the iteration ends."""
        from headrace.model.event_filters import EventAnyResourceFilter
        from headrace.model.run_filters import LogFilter, LogFilterFlowRunId

        of_run = EventFilter(any_resource=EventAnyResourceFilter(id=[f"prefect.flow-run.{flow_run_id}"]))
        self._run = f"prefect.flow-run.{flow_run_id}"
        self._events = HeadraceEventSubscriber(of_run, reconnection_attempts)
        self._logs = HeadraceLogsSubscriber(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id])), reconnection_attempts)
        self._timeout = straggler_timeout
        self._waiting: dict[asyncio.Task[Log | ReceivedEvent | None], HeadraceEventSubscriber | HeadraceLogsSubscriber] = {}
        self._ready: list[Log | Event] = []
        self._has_ended = False

    async def __aenter__(self) -> Self:
        """Connect; the lines first, so that none of those after an event is missed."""
        await self._logs.__aenter__()
        await self._events.__aenter__()
        for source in (self._logs, self._events):
            self._wait_for(source)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        self._waiting.clear()
        await self._events.__aexit__(kind, error, trace)
        await self._logs.__aexit__(kind, error, trace)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Log | Event:
        """Wait for the next event or line."""
        while not self._ready:
            if not self._waiting:
                raise StopAsyncIteration
            timeout = self._timeout if self._has_ended else None
            done, _ = await asyncio.wait(self._waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise StopAsyncIteration
            for task in done:
                self._take(task)
        return self._ready.pop(0)

    def _wait_for(self, source: HeadraceEventSubscriber | HeadraceLogsSubscriber) -> None:
        async def following() -> Log | ReceivedEvent | None:
            return await anext(source, None)

        self._waiting[asyncio.create_task(following())] = source

    def _take(self, task: asyncio.Task[Log | ReceivedEvent | None]) -> None:
        source = self._waiting.pop(task)
        found = task.result()
        if found is None:
            return
        self._ready.append(found)
        if isinstance(found, ReceivedEvent) and found.event in ENDS and found.resource.id == self._run:
            self._has_ended = True
            return
        self._wait_for(source)


def get_events_subscriber(
    filter: EventFilter | None = None, reconnection_attempts: int = 10, reconnect_on_clean_close: bool = False
) -> HeadraceEventSubscriber:
    """Return a subscriber to the events of the server in force that match; see `HeadraceEventSubscriber`."""
    return HeadraceEventSubscriber(filter, reconnection_attempts, reconnect_on_clean_close)


def get_logs_subscriber(filter: LogFilter | None = None, reconnection_attempts: int = 10) -> HeadraceLogsSubscriber:
    """Return a subscriber to the log lines of the server in force that match; see `HeadraceLogsSubscriber`."""
    return HeadraceLogsSubscriber(filter, reconnection_attempts)
