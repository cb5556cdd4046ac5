"""Events in: what arrives on all connections of `/events/in` is recorded together.

While one transaction is written the next batch gathers, so that a single event waits for nothing and a flood takes few transactions. When
enough waits, connections are read no further, and their clients wait in turn.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence

from pydantic import TypeAdapter, ValidationError

from headrace.model.caller import Caller
from headrace.model.endpoints.events import RECORD_EVENTS
from headrace.model.errors import StoreUnavailable
from headrace.model.events import SentEvent
from headrace.operations import table
from headrace.server.lanes import Overloaded
from headrace.server.streams.sockets import Closed, Socket
from headrace.store.database import Database

BATCH_EVENTS_MAX = 500
PENDING_EVENTS_MAX = 2_000
PENDING_BYTES_MAX = 16_000_000
RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 5.0
COMPLAINTS_MAX = 10
"""Events of one connection whose refusal is logged one by one; the rest is counted."""

logger = logging.getLogger("headrace.server.streams")

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_CALLER = Caller(is_server=True)


class Source:
    """A connection that events come from, and what was wrong with them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused = 0

    def refuse(self, reason: str) -> None:
        """Say that an event is left out, and why."""
        self.refused += 1
        if self.refused <= COMPLAINTS_MAX:
            logger.warning("An event that %s sent to /events/in is left out: %s", self.name, reason)

    def end(self) -> None:
        """Say how many more were left out."""
        if self.refused > COMPLAINTS_MAX:
            logger.warning("%s further events that %s sent to /events/in were left out.", self.refused - COMPLAINTS_MAX, self.name)


class Intake:
    """Collects events and has them recorded. `run` calls a function in the thread that writes."""

    def __init__(self, database: Database, run: Callable[..., Awaitable[None]], event_bytes_max: int) -> None:
        self._database = database
        self._run = run
        self._event_bytes_max = event_bytes_max
        self._pending: list[tuple[str, Source]] = []
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_ending = False
        self._writer: asyncio.Task[None] | None = None
        self._adapter = TypeAdapter(list[SentEvent])

    def start(self) -> None:
        """Begin to record."""
        self._writer = asyncio.ensure_future(self._record_batches())

    async def stop(self, timeout: float) -> None:
        """Record what has arrived, for at most `timeout` seconds."""
        self._is_ending = True
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            logger.error("%s events that had arrived could not be recorded within %s seconds, and are lost.", len(self._pending), timeout)
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def serve(self, socket: Socket) -> None:
        """Take events, one a message, until the client goes away. Nothing is answered."""
        source = Source(socket.client)
        try:
            while True:
                text = await socket.text()
                if len(text) > self._event_bytes_max:
                    source.refuse(f"It is larger than the {self._event_bytes_max} bytes of server.events.maximum_size_bytes.")
                    continue
                self._pending.append((text, source))
                self._bytes += len(text)
                self._idle.clear()
                self._arrived.set()
                if len(self._pending) >= PENDING_EVENTS_MAX or self._bytes >= PENDING_BYTES_MAX:
                    self._room.clear()
                    await self._room.wait()
        except Closed:
            source.end()

    async def _record_batches(self) -> None:
        while True:
            await self._arrived.wait()
            batch, self._pending = self._pending[:BATCH_EVENTS_MAX], self._pending[BATCH_EVENTS_MAX:]
            self._bytes -= sum(len(text) for text, _ in batch)
            if not self._pending:
                self._arrived.clear()
            self._room.set()
            await self._record_surely(batch)
            if not self._pending:
                self._idle.set()

    async def _record_surely(self, batch: Sequence[tuple[str, Source]]) -> None:
        """Record a batch; while the database cannot be written, try again."""
        pause = RETRY_SECONDS_MIN
        while True:
            try:
                await self._run(self._record, batch)
                return
            except (StoreUnavailable, Overloaded) as error:
                logger.warning("%s events cannot be recorded now (%s); next try in %.1f seconds.", len(batch), error, pause)
            except Exception:  # the border of a background task: it must go on
                logger.exception("%s events could not be recorded and are lost.", len(batch))
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)

    # --- in the writing thread

    def _record(self, batch: Sequence[tuple[str, Source]]) -> None:
        events = self._parse(batch)
        if not events:
            return
        try:
            self._write([event for event, _ in events])
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001  # one of them cannot be stored: the others are not to be lost for it
            for event, source in events:
                try:
                    self._write([event])
                except StoreUnavailable:
                    raise
                except Exception as error:  # noqa: BLE001  # as above
                    source.refuse(f"Event {event.id} could not be stored: {error}")

    def _write(self, events: list[SentEvent]) -> None:
        table.answer(self._database, RECORD_EVENTS, events, {}, _CALLER)

    def _parse(self, batch: Sequence[tuple[str, Source]]) -> list[tuple[SentEvent, Source]]:
        whole = _clean(f"[{','.join(text for text, _ in batch)}]")
        try:
            events = self._adapter.validate_json(whole)
            if len(events) == len(batch):
                return [(event, source) for event, (_, source) in zip(events, batch, strict=True)]
        except ValueError:
            pass
        found: list[tuple[SentEvent, Source]] = []
        for text, source in batch:
            try:
                found.append((SentEvent.model_validate_json(_clean(text)), source))
            except ValidationError as error:
                source.refuse(_short(error))
        return found


def _clean(text: str) -> str:
    """Leave out NUL characters, which no text column of PostgreSQL holds."""
    return _NUL.sub(r"\1", text) if "\\u0000" in text else text


def _short(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'event'}: {one['msg']}" for one in found[:3])
