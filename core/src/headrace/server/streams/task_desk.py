"""Background task runs out: `/task_runs/subscriptions/scheduled`. Hands what is queued to the task workers connected to this server.

A worker says which task keys it serves and gets one run at a time, which it confirms (`ack`) before the next. A run that is not confirmed
goes to another worker when this one goes away. A worker that subscribes with `holds` (the runs that it has: headrace's own do) keeps each run
until it says that it has ended (`done`), and gets at most `limit` at once, those that it says only wait (`waits`) not counted; what it holds when
it goes away is run again. One task of this process talks to the queue, for all workers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.caller import SERVICE
from headrace.model.errors import StoreUnavailable
from headrace.model.task_runs import TaskRun
from headrace.operations.runs import task_queue
from headrace.operations.runs.task_queue import Handover, Want
from headrace.server.lanes import Overloaded
from headrace.server.streams.sockets import SUBSCRIPTION_VIOLATION, Closed, Socket
from headrace.store.database import Database, Transaction

ACK_SECONDS_MAX = 30.0
SUBSCRIBE_SECONDS_MAX = 60.0
WANTS_MAX = 100
"""Workers that one transaction finds runs for."""
PAUSE_SECONDS = 1.0
"""After the database could not be written."""
SEEN_SECONDS = 30.0
"""How often this server tells that its task workers are still connected."""
TAKEN_BACK_MAX = 100
"""Runs of workers that are gone that one transaction queues again."""

logger = logging.getLogger("headrace.server.streams")


@dataclass(slots=True)
class _Worker:
    connection: UUID
    client_id: str
    task_keys: tuple[str, ...]
    holds: set[UUID] | None = None
    """Runs that it has, if it keeps them until they have ended."""
    limit: int | None = None
    idle: set[UUID] = field(default_factory=set[UUID])
    """Held runs that wait for others and do not count."""
    waiting: asyncio.Future[TaskRun] | None = None
    sent: UUID | None = None
    """The run that it has not confirmed yet."""

    @property
    def has_room(self) -> bool:
        return self.sent is None and (self.limit is None or self.holds is None or len(self.holds - self.idle) < self.limit)


class TaskDesk:
    """The task workers of this server. `write` and `read` call a function in a thread that may wait for the database."""

    def __init__(
        self, database: Database, write: Callable[..., Awaitable[Any]], read: Callable[..., Awaitable[Any]], pending_timeout: timedelta
    ) -> None:
        self._database = database
        self._pending_timeout = pending_timeout
        self._run_write = write
        self._run_read = read
        self._workers: dict[UUID, _Worker] = {}
        self._todo = Handover()
        self._due: float | None = None  # when the next run falls due, by the monotonic clock
        self._stirred = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to hand out runs."""
        self._tasks = [asyncio.ensure_future(self._hand_out()), asyncio.ensure_future(self._tell_seen())]
        if self._pending_timeout:
            self._tasks.append(asyncio.ensure_future(self._take_back()))

    async def stop(self) -> None:
        """Give back what is not confirmed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._todo.released += list(self._workers)
        self._todo.wants.clear()
        if self._todo.confirmed or self._todo.released:
            await self._write(lambda tx: task_queue.hand_over(tx, self._todo))

    def stir(self, task_keys: Sequence[Any]) -> None:
        """Look into the queue if a worker waits for one of these keys; none named: if any waits."""
        keys = set(cast("Sequence[str]", task_keys))
        if any(worker.waiting and (not keys or not keys.isdisjoint(worker.task_keys)) for worker in self._workers.values()):
            self._stirred.set()

    async def serve(self, socket: Socket) -> None:
        """Serve a task worker until it goes away."""
        worker = await _subscribe(socket)
        if worker is None:
            return
        self._workers[worker.connection] = worker
        try:
            await self._write(lambda tx: _note(tx, worker))
            await self._attend(socket, worker)
        except Closed:
            pass
        finally:
            self._workers.pop(worker.connection, None)
            self._todo.released.append(worker.connection)
            self._stirred.set()

    async def _attend(self, socket: Socket, worker: _Worker) -> None:
        """Send runs and hear what becomes of them, until the worker says goodbye or something that has no place here."""
        heard: asyncio.Future[dict[str, Any]] | None = None
        try:
            while True:
                if worker.has_room and worker.waiting is None:
                    worker.waiting = asyncio.get_running_loop().create_future()
                    self._stirred.set()
                heard = heard or asyncio.ensure_future(socket.message())
                watched: set[asyncio.Future[Any]] = {heard} if worker.waiting is None else {heard, worker.waiting}
                done, _ = await asyncio.wait(watched, timeout=ACK_SECONDS_MAX if worker.sent else None, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    await socket.close(SUBSCRIPTION_VIOLATION, f"Protocol violation: no 'ack' message within {ACK_SECONDS_MAX:.0f} seconds")
                    return
                if heard in done:
                    message, heard = heard.result(), None
                    if not self._hear(worker, message):
                        await _say_goodbye(socket, message)
                        return
                if worker.waiting is not None and worker.waiting.done():
                    run = worker.waiting.result()
                    worker.waiting = None
                    worker.sent = run.id
                    await socket.send(run.model_dump_json())
        finally:
            if heard is not None:
                heard.cancel()
                await asyncio.gather(heard, return_exceptions=True)

    def _hear(self, worker: _Worker, message: dict[str, Any]) -> bool:
        """Note what a worker tells. False for what ends the connection. An `ack` too many is harmless."""
        kind = message.get("type")
        if kind == "ack":
            if worker.sent is not None:
                if worker.holds is None:
                    self._todo.confirmed.append(worker.sent)
                else:
                    worker.holds.add(worker.sent)
                worker.sent = None
            return True
        if kind not in ("done", "waits", "goes on") or worker.holds is None:
            return False
        for id in worker.holds & set(_ids(message.get("ids"))):
            if kind == "done":
                worker.holds.discard(id)
                self._todo.confirmed.append(id)
            if kind == "waits":
                worker.idle.add(id)
            else:
                worker.idle.discard(id)
        self._stirred.set()
        return True

    # --- the queue

    async def _hand_out(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stirred.wait(), None if self._due is None else max(0.0, self._due - clock.monotonic()))
            self._stirred.clear()
            self._due = None
            given, self._todo = self._todo, Handover()
            waiting = [worker for worker in self._workers.values() if worker.waiting is not None and not worker.waiting.done()]
            given.wants = [Want(worker.connection, worker.task_keys, worker.holds is not None) for worker in waiting[:WANTS_MAX]]
            try:
                if given.confirmed or given.released or await self._is_due(given.wants):
                    await self._settle(given, len(waiting) > WANTS_MAX)
            except (StoreUnavailable, Overloaded) as error:
                logger.warning("Background task runs cannot be handed out now (%s); next try in %s seconds.", error, PAUSE_SECONDS)
                self._try_again(given)
            except Exception:  # the border of a background task: it must go on
                logger.exception("Background task runs could not be handed out; next try in %s seconds.", PAUSE_SECONDS)
                self._try_again(given)

    def _try_again(self, given: Handover) -> None:
        self._todo.confirmed += given.confirmed
        self._todo.released += given.released
        self._due = clock.monotonic() + PAUSE_SECONDS

    async def _is_due(self, wants: Sequence[Want]) -> bool:
        """Look, without writing, whether there is a run for anybody; otherwise note when there will be one."""
        if not wants:
            return False
        keys = sorted({key for want in wants for key in want.task_keys})
        return self._note_due(await self._run_read(_next_due, self._database, keys))

    def _note_due(self, due: int | None) -> bool:
        if due is None:
            return False
        seconds = (due - clock.now_us()) / 1_000_000
        if seconds <= 0:
            return True
        self._due = clock.monotonic() + seconds
        return False

    async def _settle(self, given: Handover, is_more: bool) -> None:
        found, due = await self._write(lambda tx: task_queue.hand_over(tx, given))
        for want, run in zip(given.wants, found, strict=True):
            if run is None:
                continue
            worker = self._workers.get(want.connection)
            if worker is None or worker.waiting is None or worker.waiting.done():
                self._todo.released.append(want.connection)  # it went away meanwhile
                self._stirred.set()
            else:
                worker.waiting.set_result(run)
        if self._note_due(due) or is_more:
            self._stirred.set()

    async def _tell_seen(self) -> None:
        while True:
            await asyncio.sleep(SEEN_SECONDS)
            rows = [_row(worker) for worker in self._workers.values()]
            if rows:
                await self._try(lambda tx, rows=rows: task_queue.see_workers(tx, rows))

    async def _take_back(self) -> None:
        timeout = self._pending_timeout
        while True:
            await asyncio.sleep(max(PAUSE_SECONDS, timeout.total_seconds() / 4))
            await self._try(lambda tx: task_queue.take_back_pending(tx, clock.now(), timeout, TAKEN_BACK_MAX))

    async def _try(self, work: Callable[[Transaction], Any]) -> None:
        try:
            await self._write(work)
        except Exception:  # the border of a background task: it must go on
            logger.exception("The list of task workers, or of runs that they did not begin, could not be kept up to date; that is tried again.")

    async def _write(self, work: Callable[[Transaction], Any]) -> Any:
        return await self._run_write(self._database.transact, work, SERVICE)


def _next_due(database: Database, task_keys: Sequence[str]) -> int | None:
    with database.read() as tx:
        return task_queue.next_due(tx, task_keys)


def _row(worker: _Worker) -> tuple[UUID, str, Sequence[str]]:
    return worker.connection, worker.client_id, worker.task_keys


async def _subscribe(socket: Socket) -> _Worker | None:
    """Return who subscribes and to what, or None after closing."""
    try:
        message = await asyncio.wait_for(socket.message(), SUBSCRIBE_SECONDS_MAX)
    except TimeoutError:
        message = {}
    keys: Any = message.get("keys")
    if message.get("type") != "subscribe":
        missing = "'subscribe' message"
    elif not isinstance(keys, list) or not keys:
        missing = "'keys' in subscribe message"
    elif not message.get("client_id"):
        missing = "'client_id' in subscribe message"
    else:
        served = tuple(dict.fromkeys(map(str, cast("list[Any]", keys))))
        limit: Any = message.get("limit")
        holds = set(_ids(message["holds"])) if "holds" in message else None
        return _Worker(ids.new(), str(message["client_id"]), served, holds, limit if isinstance(limit, int) else None)
    await socket.close(SUBSCRIPTION_VIOLATION, f"Protocol violation: expected {missing}")
    return None


def _ids(given: Any) -> list[UUID]:
    """Return the ids in a list; what is none is left out."""
    found: list[UUID] = []
    for text in cast("list[Any]", given) if isinstance(given, list) else []:
        with suppress(ValueError):
            found.append(UUID(str(text)))
    return found


def _note(tx: Transaction, worker: _Worker) -> None:
    task_queue.see_workers(tx, [_row(worker)])
    if worker.holds:
        task_queue.hold_again(tx, worker.connection, worker.client_id, sorted(worker.holds))


async def _say_goodbye(socket: Socket, message: dict[str, Any]) -> None:
    """Close after `quit`, or after what has no place here."""
    if message.get("type") == "quit":
        await socket.close(1000)
    else:
        await socket.close(SUBSCRIPTION_VIOLATION, "Protocol violation: expected 'ack' or 'quit' message")
