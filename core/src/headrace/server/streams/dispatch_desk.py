"""Work out: `/flow_runs/subscriptions/due`. Tells workers and runners that they should ask for runs; the asking is as ever.

The client subscribes with `{"type": "subscribe", "work_pool": name}` or `{"type": "subscribe", "deployment_ids": […]}` and sends
`{"type": "ready"}` whenever it wants to hear of more. The server answers each of these once, with `{"type": "due"}` or
`{"type": "cancelling"}`, as soon as there is something. Many who wait for the same are told a few at a time, so that they do not all ask at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from headrace.model import clock
from headrace.operations.pools import due
from headrace.server.streams.sockets import SUBSCRIPTION_VIOLATION, Socket
from headrace.store.database import Database

SUBSCRIBE_SECONDS_MAX = 60.0
DEPLOYMENTS_MAX = 5_000
PREFETCH_SECONDS_MAX = 3_600.0
TOLD_AT_ONCE = 4
"""Subscribers told of the same at once; the next ones, twice as many, hear of it after `STAGGER_SECONDS`."""
STAGGER_SECONDS = 0.1
LOOK_SECONDS_MIN = 0.25
"""Least time between two looks into the database."""
PAUSE_SECONDS = 5.0
"""After the database could not be read."""

logger = logging.getLogger("headrace.server.streams")


@dataclass(slots=True, eq=False)
class _Subscriber:
    pool: UUID | None
    deployments: frozenset[UUID]
    prefetch_us: int
    keys: frozenset[str]
    seen: set[bytes] = field(default_factory=set[bytes])
    """Due runs that it was told of."""
    pending: dict[str, None] = field(default_factory=dict[str, None])
    """What it is to be told, in order."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, what: str) -> None:
        """Have it told, once."""
        self.pending[what] = None
        self.wake.set()


class DispatchDesk:
    """The workers and runners connected to this server. `read` calls a function in a thread that may wait for the database."""

    def __init__(self, database: Database, read: Callable[..., Awaitable[Any]]) -> None:
        self._database = database
        self._read = read
        self._subscribers: list[_Subscriber] = []
        self._next: float | None = None  # when the next run falls due, by the monotonic clock
        self._stirred = asyncio.Event()
        self._waves: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.ensure_future(self._watch())

    async def stop(self) -> None:
        """Tell nothing more."""
        tasks = [*self._waves, *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stir(self, keys: Sequence[Any]) -> None:
        """Hear what was published; nothing: look."""
        if not self._subscribers:
            return
        marked = [str(key) for key in keys]
        cancelling = {key[1:] for key in marked if key.startswith(due.CANCELLING)}
        for what, named in (("cancelling", cancelling), ("due", {key for key in marked if not key.startswith(due.CANCELLING)})):
            self._spread(what, [one for one in self._subscribers if not named.isdisjoint(one.keys)])
        if not marked or len(cancelling) < len(marked):
            self._stirred.set()

    def _spread(self, what: str, subscribers: Sequence[_Subscriber]) -> None:
        for one in subscribers[:TOLD_AT_ONCE]:
            one.tell(what)
        if len(subscribers) > TOLD_AT_ONCE:
            wave = asyncio.ensure_future(_later(what, subscribers[TOLD_AT_ONCE:]))
            self._waves.add(wave)
            wave.add_done_callback(self._waves.discard)
        if len(subscribers) > 1:  # the next time others come first
            self._subscribers.append(self._subscribers.pop(0))

    async def serve(self, socket: Socket) -> None:
        """Serve a worker or runner until it goes away."""
        one = await self._subscribe(socket)
        if one is None:
            return
        self._subscribers.append(one)
        self._stirred.set()
        try:
            heard = asyncio.ensure_future(socket.message())
            try:
                while True:
                    message = await heard
                    heard = asyncio.ensure_future(socket.message())
                    if message.get("type") != "ready":
                        await socket.close(SUBSCRIPTION_VIOLATION, "Protocol violation: expected 'ready' message")
                        return
                    what = await _something(one, heard)
                    if what is not None:
                        await socket.send(f'{{"type":"{what}"}}')
            finally:
                heard.cancel()
                await asyncio.gather(heard, return_exceptions=True)
        finally:
            self._subscribers.remove(one)

    async def _subscribe(self, socket: Socket) -> _Subscriber | None:
        try:
            message = await asyncio.wait_for(socket.message(), SUBSCRIBE_SECONDS_MAX)
            one, complaint = await self._read(_subscriber, self._database, message)
        except TimeoutError:
            one, complaint = None, "Protocol violation: expected 'subscribe' message"
        if one is None:
            await socket.close(SUBSCRIPTION_VIOLATION, complaint)
        return one

    # --- what falls due by itself, and what others committed unheard

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), None if self._next is None else max(0.0, self._next - clock.monotonic()))
            self._stirred.clear()
            self._next = None
            pause = LOOK_SECONDS_MIN
            try:
                if self._subscribers:
                    await self._look()
            except Exception as error:  # noqa: BLE001  # the border of a background task: it must go on
                logger.warning("What is due cannot be read now (%s); workers ask by themselves meanwhile.", error)
                self._next, pause = clock.monotonic() + PAUSE_SECONDS, PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        subscribers = list(self._subscribers)
        prefetches = {one.prefetch_us for one in subscribers}
        for prefetch in prefetches:
            group = [one for one in subscribers if one.prefetch_us == prefetch]
            until = clock.now_us() + prefetch
            found: dict[UUID, due.Waiting] = await self._read(
                _waiting, self._database, {one.pool for one in group if one.pool}, {key for one in group for key in one.deployments}, until
            )
            new: list[_Subscriber] = []
            for one in group:
                mine = [found[key] for key in (one.pool, *one.deployments) if key is not None and key in found]
                waits = {id for waiting in mine for id in waiting.due}
                if waits - one.seen:
                    new.append(one)
                one.seen = waits
                self._note([waiting.next - prefetch for waiting in mine if waiting.next is not None])
            self._spread("due", new)

    def _note(self, times: Iterable[int]) -> None:
        for time in times:
            at = clock.monotonic() + max(0.0, (time - clock.now_us()) / 1_000_000)
            self._next = at if self._next is None else min(self._next, at)


async def _later(what: str, subscribers: Sequence[_Subscriber]) -> None:
    first, count = 0, 2 * TOLD_AT_ONCE
    while first < len(subscribers):
        await asyncio.sleep(STAGGER_SECONDS)
        for one in subscribers[first : first + count]:
            one.tell(what)
        first, count = first + count, 2 * count


async def _something(one: _Subscriber, heard: asyncio.Future[Any]) -> str | None:
    """Wait for something to tell; None when the client speaks, or goes away, before."""
    while not one.pending:
        one.wake.clear()
        woken = asyncio.ensure_future(one.wake.wait())
        try:
            await asyncio.wait((woken, heard), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        if not one.pending and heard.done():
            return None
    what = next(iter(one.pending))
    del one.pending[what]
    return what


def _waiting(database: Database, pools: Iterable[UUID], deployments: Iterable[UUID], until: int) -> dict[UUID, due.Waiting]:
    with database.read() as tx:
        return due.waiting(tx, list(pools), list(deployments), until)


def _subscriber(database: Database, message: dict[str, Any]) -> tuple[_Subscriber | None, str]:
    """Return who subscribes, or what is wrong."""
    if message.get("type") != "subscribe":
        return None, "Protocol violation: expected 'subscribe' message"
    name, given, prefetch = message.get("work_pool"), message.get("deployment_ids") or (), message.get("prefetch_seconds") or 0
    try:
        deployments = frozenset(UUID(str(id)) for id in cast("Sequence[Any]", given))
        seconds = min(max(0.0, float(prefetch)), PREFETCH_SECONDS_MAX)
    except (TypeError, ValueError):
        return None, "'deployment_ids' is no list of ids, or 'prefetch_seconds' no number"
    if len(deployments) > DEPLOYMENTS_MAX:
        return None, f"More than {DEPLOYMENTS_MAX} deployments"
    pool = None
    if name is not None:
        with database.read() as tx:
            pool = due.pool_key(tx, str(name))
        if pool is None:
            return None, "There is no work pool of that name"
    if pool is None and not deployments:
        return None, "Neither 'work_pool' nor 'deployment_ids' is given"
    keys = frozenset(str(id) for id in (*deployments, *([pool] if pool is not None else [])))
    return _Subscriber(pool, deployments, round(seconds * 1_000_000), keys), ""
