"""Events and log lines out: `/events/out` and `/logs/out`.

A subscriber to events hears of the past first: the live stream is joined, then what is stored is read in pages, then the live stream goes
on without what was sent already. So nothing is missed between the two, and nothing comes twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from headrace.model import clock
from headrace.model.event_filters import EventFilter
from headrace.model.events import ReceivedEvent
from headrace.model.run_filters import LogFilter
from headrace.operations import streams
from headrace.server.streams.bus import Bus, Subscription, Topic
from headrace.server.streams.sockets import PROTOCOL_ERROR, TRY_AGAIN_LATER, Closed, Socket
from headrace.server.streams.topics import EVENTS, LOGS, log_predicate
from headrace.store.database import Database, Transaction

FILTER_SECONDS_MAX = 60.0
PAGE = 250
"""Messages read at once for a subscriber that has fallen behind."""
OVERLAP = timedelta(seconds=30)
"""An event can come twice, from the past and live, if it was received after the subscription began; servers' clocks differ by less than this."""
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


class Outlet:
    """Sends to subscribers what the bus delivers. `is_live` is false where streaming is switched off: then nothing live comes."""

    def __init__(self, database: Database, bus: Bus, read: Callable[..., Awaitable[Any]], *, backfill_max: timedelta, page: int) -> None:
        self._database = database
        self._bus = bus
        self._run = read
        self._backfill_max = backfill_max
        self._page = page
        self.live: frozenset[str] = frozenset()
        self.slow = 0
        """Subscribers that were sent away because they had fallen behind."""

    async def events(self, socket: Socket) -> None:
        """Serve a subscriber to events."""
        message = await _first_message(socket)
        if message is None:
            return
        try:
            wanted = EventFilter.model_validate(message.get("filter"))
        except ValidationError as error:
            await socket.close(PROTOCOL_ERROR, f"Invalid filter: {_short(error)}")
            return
        if "until" not in wanted.occurred.model_fields_set:
            wanted.occurred.until = FOREVER
        wanted.occurred.since, wanted.occurred.until = _aware(wanted.occurred.since), _aware(wanted.occurred.until)
        wanted.occurred.clamp(self._backfill_max)
        parts = wanted.get_filters()
        subscription = Subscription(lambda event: all(part.includes(event) for part in parts), is_catching_up=True)
        await self._attend(socket, EVENTS, subscription, wanted if message.get("backfill", True) else None)

    async def logs(self, socket: Socket) -> None:
        """Serve a subscriber to log lines."""
        message = await _first_message(socket)
        if message is None:
            return
        try:
            wanted = LogFilter.model_validate(message.get("filter"))
        except ValidationError as error:
            await socket.close(PROTOCOL_ERROR, f"Invalid filter: {_short(error)}")
            return
        await self._attend(socket, LOGS, Subscription(log_predicate(wanted)), None)

    # --- sending

    async def _attend(self, socket: Socket, topic: Topic, subscription: Subscription, past: EventFilter | None) -> None:
        """Send until the client goes away, or is too slow."""
        is_live = topic.name in self.live
        if is_live:
            await self._bus.add(topic.name, subscription)
        sender = asyncio.ensure_future(self._send(socket, topic, subscription, past))
        reader = asyncio.ensure_future(socket.until_closed())
        lost = asyncio.ensure_future(subscription.is_lost.wait())  # the sender may be waiting for a client that reads no more
        tasks = (sender, reader, lost)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if is_live:
                self._bus.remove(topic.name, subscription)
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if subscription.lost:
            self.slow += 1
            await socket.close(TRY_AGAIN_LATER, f"Too slow: {subscription.lost} messages were not sent; connect again")
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, Closed):
                raise outcome

    async def _send(self, socket: Socket, topic: Topic, subscription: Subscription, past: EventFilter | None) -> None:
        sent: set[UUID] = set()
        if past is not None:
            sent = await self._send_past(socket, past)
        subscription.is_catching_up = False
        forget_at = clock.monotonic() + 2 * OVERLAP.total_seconds()
        while True:
            if sent and clock.monotonic() > forget_at:
                sent = set()
            while subscription.queue:
                envelope = subscription.queue.popleft()
                if envelope.id not in sent:
                    await socket.send(envelope.text)
            if subscription.held:
                ids = [id for id in subscription.take_held(PAGE) if id not in sent]
                for message in await self._read(lambda tx, ids=ids: topic.by_id(tx, ids)) if ids else ():
                    await socket.send(topic.text_of(message))
                continue
            await subscription.wait()

    async def _send_past(self, socket: Socket, wanted: EventFilter) -> set[UUID]:
        """Send the stored events that match; return the ids of those that may come live too."""
        since = clock.now() - OVERLAP
        sent: set[UUID] = set()
        last: ReceivedEvent | None = None
        while True:
            page: Sequence[ReceivedEvent] = await self._read(lambda tx, last=last: streams.events_page(tx, wanted, last, self._page))
            for event in page:
                if event.received >= since:
                    sent.add(event.id)
                await socket.send(EVENTS.text_of(event))
            if len(page) < self._page:
                return sent
            last = page[-1]

    async def _read(self, work: Callable[[Transaction], list[Any]]) -> list[Any]:
        return await self._run(_reading, self._database, work)


def _reading(database: Database, work: Callable[[Transaction], list[Any]]) -> list[Any]:
    with database.read() as tx:
        return work(tx)


async def _first_message(socket: Socket) -> dict[str, Any] | None:
    """Return the message with the filter, or None after closing."""
    try:
        message = await asyncio.wait_for(socket.message(), FILTER_SECONDS_MAX)
    except TimeoutError:
        message = {}
    if message.get("type") != "filter":
        await socket.close(PROTOCOL_ERROR, "Expected 'filter' message")
        return None
    return message


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _short(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'filter'}: {first['msg']}"
