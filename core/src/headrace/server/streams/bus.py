"""What was committed, handed to whoever waits for it in this process.

Operations publish with their transactions; the database tells the bus in the committing thread, and the bus delivers in its event loop.
Nobody is ever waited for: each subscriber has a bounded queue, and beyond it only the ids of a bounded number of messages, which it reads
from the database when it has time. One that falls behind even that has lost messages and is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from headrace.server.streams.following import Follower
from headrace.store.database import Database, Published, Transaction

logger = logging.getLogger("headrace.server.streams")

QUEUE_MAX = 256
"""Messages that wait for one subscriber."""
HELD_MAX = 20_000
"""Ids of further messages that wait for one subscriber; with the queue full and as many ids, what comes is lost for it."""
INBOX_MAX = 50_000
"""Messages of one topic that wait to be delivered at all."""
SLICE_MAX = 128
"""Messages delivered before subscribers get their turn to send."""
RECENT_MAX = 32_768
"""Ids remembered of each topic, so that what is heard of twice is delivered once."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A kind of stored messages: their table, how the id of one is found, how one is written for a websocket, how they are read by id."""

    name: str
    table: str
    id_of: Callable[[Any], UUID]
    text_of: Callable[[Any], str]
    by_id: Callable[[Transaction, Sequence[UUID]], list[Any]]


class Envelope:
    """A message on its way to several subscribers; its text is made once, when the first one sends it."""

    __slots__ = ("_text", "id", "message", "topic")

    def __init__(self, topic: Topic, message: Any, id: UUID) -> None:
        self.topic = topic
        self.message = message
        self.id = id
        self._text: str | None = None

    @property
    def text(self) -> str:
        """The message as it is sent."""
        if self._text is None:
            self._text = self.topic.text_of(self.message)
        return self._text


class Receiver(Protocol):
    """What the bus delivers to. Both are called in the bus's event loop and must return at once."""

    def offer(self, envelope: Envelope) -> None: ...
    def lose(self, count: int) -> None: ...


class Subscription:
    """The messages that `accepts` is true of, on their way to one subscriber.

    While `is_catching_up`, only ids are kept: the subscriber reads the past and will find some of them there.
    """

    __slots__ = ("_accepts", "_wake", "held", "is_catching_up", "is_lost", "lost", "queue")

    def __init__(self, accepts: Callable[[Any], bool], *, is_catching_up: bool = False) -> None:
        self._accepts = accepts
        self._wake = asyncio.Event()
        self.queue: deque[Envelope] = deque()
        self.held: deque[UUID] = deque()
        self.is_catching_up = is_catching_up
        self.lost = 0
        self.is_lost = asyncio.Event()

    def offer(self, envelope: Envelope) -> None:
        """Take a message if it is wanted and there is room."""
        if self.lost or not self._accepts(envelope.message):
            return
        if not (self.is_catching_up or self.held) and len(self.queue) < QUEUE_MAX:
            self.queue.append(envelope)
        elif len(self.held) < HELD_MAX:
            self.held.append(envelope.id)
        else:
            self.lose(1)
        self._wake.set()

    def lose(self, count: int) -> None:
        """Note that `count` messages passed unseen: the subscriber cannot go on, so what waits for it is dropped too."""
        self.lost += count + len(self.queue) + len(self.held)
        self.queue.clear()
        self.held.clear()
        self.is_lost.set()

    def take_held(self, count: int) -> list[UUID]:
        """Return the ids of the next messages that must be read from the database."""
        return [self.held.popleft() for _ in range(min(count, len(self.held)))]

    async def wait(self) -> None:
        """Wait until something came since the last call."""
        await self._wake.wait()
        self._wake.clear()


class Bus:
    """Delivers what is committed to `database`, by this process or another, of each of `topics`.

    Belongs to the event loop that `start` is called in. Without a database it delivers what `announce` is given.
    """

    def __init__(self, database: Database | None, topics: Sequence[Topic]) -> None:
        self._database = database
        self._topics = {topic.name: topic for topic in topics}
        self._inboxes: dict[str, deque[Any]] = {name: deque() for name in self._topics}
        self._overrun: dict[str, int] = {}
        self._receivers: dict[str, list[Receiver]] = {name: [] for name in self._topics}
        self._recent: dict[str, dict[UUID, None]] = {name: {} for name in self._topics}
        self._watchers: dict[str, list[Callable[[Sequence[Any]], None]]] = {}
        self._follower = None if database is None else Follower(database, self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_announced = False

    async def start(self) -> None:
        """Begin to deliver what is announced, in the running event loop."""
        self._loop = asyncio.get_running_loop()

    async def follow(self) -> None:
        """Announce what is committed to the database from now on, by this process or another."""
        if self._database is not None and self._follower is not None:
            self._database.listeners.append(self.announce)
            await asyncio.to_thread(self._follower.start)
            for topic in self.wanted:
                await asyncio.to_thread(self._follower.begin, topic)

    async def stop(self) -> None:
        """Deliver nothing more."""
        self._loop = None
        await self.unfollow()

    async def unfollow(self) -> None:
        """Announce nothing more by itself."""
        if self._database is not None and self._follower is not None and self.announce in self._database.listeners:
            self._database.listeners.remove(self.announce)
            await asyncio.to_thread(self._follower.stop)

    async def add(self, topic: str, receiver: Receiver) -> None:
        """Deliver what is committed from now on to `receiver` too."""
        if self._follower is not None and self._follower.is_at_work and not self._receivers[topic]:
            await asyncio.to_thread(self._follower.begin, self._topics[topic])
        self._receivers[topic].append(receiver)

    def remove(self, topic: str, receiver: Receiver) -> None:
        """Deliver nothing more to `receiver`."""
        self._receivers[topic].remove(receiver)

    def watch(self, topic: str, watcher: Callable[[Sequence[Any]], None]) -> None:
        """Call `watcher`, in the event loop, with whatever is published under `topic`; with nothing when something may have been."""
        self._watchers.setdefault(topic, []).append(watcher)

    @property
    def wanted(self) -> list[Topic]:
        """The topics that somebody receives."""
        return [topic for name, topic in self._topics.items() if self._receivers[name]]

    def is_new(self, topic: Topic, id: UUID) -> bool:
        """Say whether the message was not delivered lately."""
        return id not in self._recent[topic.name]

    def stir(self) -> None:
        """Tell every watcher that something may have been published."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                self._call(watcher, ())

    def announce(self, published: Sequence[Published]) -> None:
        """Take what a transaction published. Called from any thread; neither waits nor raises."""
        if self._loop is None:
            return
        is_wanted = False
        for topic, messages in published:
            for watcher in self._watchers.get(topic, ()):
                self._call(watcher, messages)
            if not self._receivers.get(topic):
                continue
            inbox = self._inboxes[topic]
            if len(inbox) + len(messages) > INBOX_MAX:
                self._overrun[topic] = self._overrun.get(topic, 0) + len(messages)
            else:
                inbox.extend(messages)
            is_wanted = True
        if is_wanted and not self._is_announced:
            self._is_announced = True
            self._call(self._deliver)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(function, *arguments)
            except RuntimeError:
                logger.debug("A message came while the server's event loop was closing.")

    def _deliver(self) -> None:
        self._is_announced = False  # first, so that what is appended from here on announces itself
        more = False
        for name, inbox in self._inboxes.items():
            if not inbox and name not in self._overrun:
                continue
            receivers = self._receivers[name]
            for _ in range(min(SLICE_MAX, len(inbox))):
                self._hand_out(self._topics[name], inbox.popleft(), receivers)
            missed = self._overrun.pop(name, 0)
            if missed:
                for receiver in receivers:
                    receiver.lose(missed)
            more = more or bool(inbox)
        if more and not self._is_announced and self._loop is not None:
            self._is_announced = True
            self._loop.call_soon(self._deliver)

    def _hand_out(self, topic: Topic, message: Any, receivers: list[Receiver]) -> None:
        id = topic.id_of(message)
        recent = self._recent[topic.name]
        if id in recent:
            return
        recent[id] = None
        if len(recent) > RECENT_MAX:
            del recent[next(iter(recent))]
        envelope = Envelope(topic, message, id)
        for receiver in receivers:
            try:
                receiver.offer(envelope)
            except Exception:  # one subscriber's trouble is not the others'
                logger.exception("A message of the topic %r could not be offered to a subscriber, which loses it.", topic.name)
                receiver.lose(1)
