"""Sending events one by one, and clients that keep them for tests to look at. `headrace.events.emit_event` is what flows use."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from types import TracebackType
from typing import Any, ClassVar, Self

from headrace.client.codec import encode
from headrace.client.connect import current_client
from headrace.client.websocket import Reconnecting, api_url, events_in_socket_from_api_url
from headrace.model.clock import monotonic
from headrace.model.events import Event, SentEvent
from headrace.settings import get_current_settings

UNCONFIRMED_EVENTS_MAX = 10_000


class EventsClient(ABC):
    """What sends events. Open it with `async with`."""

    @property
    def client_name(self) -> str:
        """The name of this kind of client."""
        return type(self).__name__

    async def emit(self, event: Event) -> None:
        """Send one event. Raises `TypeError` when the client was not opened."""
        if not getattr(self, "_is_open", False):
            raise TypeError("Events can be emitted inside `async with` alone: open the client first.")
        await self._emit(event)

    @abstractmethod
    async def _emit(self, event: Event) -> None: ...

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_open = False


class NullEventsClient(EventsClient):
    """Send nothing."""

    async def _emit(self, event: Event) -> None:
        pass


class StoringEventsClient(EventsClient):
    """Store each event in the embedded database, or have the server store it, before `emit` returns."""

    async def _emit(self, event: Event) -> None:
        from headrace.model.endpoints.events import RECORD_EVENTS

        await current_client().call(RECORD_EVENTS, [SentEvent(**dict(event))])


class HeadraceEventsClient(EventsClient):
    """Stream events to a server by a websocket.

    Every `checkpoint_every` events, and every `checkpoint_interval` seconds, it makes sure that the server has read them. What was not confirmed
    is sent again over a new connection, so an event may come twice; the server stores it once.
    """

    def __init__(self, reconnection_attempts: int = 10, checkpoint_every: int = 700, checkpoint_interval: float = 30.0) -> None:
        """Prepare. `reconnection_attempts`: how often in a row to connect again. Raises `ConfigurationError` without a server."""
        self._connection = Reconnecting(events_in_socket_from_api_url(api_url("Streaming events")), reconnection_attempts)
        self._unconfirmed: deque[str] = deque()
        self._checkpoint_every = checkpoint_every
        self._checkpoint_interval = checkpoint_interval
        self._confirmed_at = 0.0
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Connect. Raises `ServerUnreachable`, and `HeadraceHTTPStatusError` for wrong credentials."""
        await self._connection.open()
        self._confirmed_at = monotonic()
        return await super().__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            async with self._lock:
                await self._deliver([], is_confirmed=True)
        finally:
            await self._connection.drop()
            await super().__aexit__(kind, error, trace)

    async def _emit(self, event: Event) -> None:
        text = encode(event).decode()
        async with self._lock:
            self._unconfirmed.append(text)
            due = len(self._unconfirmed) >= min(self._checkpoint_every, UNCONFIRMED_EVENTS_MAX)
            await self._deliver([text], is_confirmed=due or monotonic() - self._confirmed_at >= self._checkpoint_interval)

    async def _deliver(self, texts: list[str], *, is_confirmed: bool) -> None:
        from websockets.exceptions import ConnectionClosed

        while True:
            if not self._connection.is_open:
                texts = list(self._unconfirmed)
            connection = await self._connection.open()
            try:
                for text in texts:
                    await connection.send(text)
                if is_confirmed and self._unconfirmed:
                    await (await connection.ping())
                    self._unconfirmed.clear()
                    self._confirmed_at = monotonic()
                return
            except ConnectionClosed:
                await self._connection.drop()


class AssertingEventsClient(EventsClient):
    """Keep the events, for tests to look at: `events` of each client, all clients in `all`, the latest in `last`."""

    last: ClassVar[AssertingEventsClient | None] = None
    all: ClassVar[list[AssertingEventsClient]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Remember the arguments as `args` and `kwargs`."""
        type(self).last = self
        self.all.append(self)
        self.args, self.kwargs = args, kwargs
        self.events: list[Event] = []

    @classmethod
    def reset(cls) -> None:
        """Forget all clients and their events."""
        cls.last = None
        cls.all.clear()

    def pop_events(self) -> list[Event]:
        """Return the events so far and forget them."""
        found, self.events = self.events, []
        return found

    async def _emit(self, event: Event) -> None:
        self.events.append(event)

    async def __aenter__(self) -> Self:
        self.events = []
        return await super().__aenter__()


class AssertingPassthroughEventsClient(HeadraceEventsClient):
    """Keep the events for tests, and send them to the server too."""

    last: ClassVar[AssertingPassthroughEventsClient | None] = None
    all: ClassVar[list[AssertingPassthroughEventsClient]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the options of `HeadraceEventsClient`, and remember them as `args` and `kwargs`."""
        super().__init__(*args, **kwargs)
        type(self).last = self
        self.all.append(self)
        self.args, self.kwargs = args, kwargs
        self.events: list[Event] = []

    @classmethod
    def reset(cls) -> None:
        """Forget all clients and their events."""
        cls.last = None
        cls.all.clear()

    def pop_events(self) -> list[Event]:
        """Return the events so far and forget them."""
        found, self.events = self.events, []
        return found

    async def _emit(self, event: Event) -> None:
        self.events.append(event)
        await super()._emit(event)


def get_events_client(reconnection_attempts: int = 10, checkpoint_every: int = 700, checkpoint_interval: float = 30.0) -> EventsClient:
    """Return what sends events: to the server in force by a websocket (see `HeadraceEventsClient`), else to the embedded database."""
    if get_current_settings().api.url:
        return HeadraceEventsClient(reconnection_attempts, checkpoint_every, checkpoint_interval)
    return StoringEventsClient()
