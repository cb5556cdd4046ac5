"""Threads that perform operations: writers one after the other where the database has one writer, readers beside them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Any

WAITING_MAX = 5_000
"""Calls that wait in one lane. More are refused, for whoever sent them would have gone away before their turn."""


class Overloaded(Exception):
    """A lane has as many calls waiting as it may."""


class Lane:
    """A queue and its threads, started when there is work. Belongs to the event loop that it is made in.

    Several calls that end while the loop is busy are handed back to it in one go.
    """

    def __init__(self, name: str, threads: int, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._name = name
        self._threads_max = threads
        self._threads: list[Thread] = []
        self._queue: SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._announced = False
        self._loop = asyncio.get_running_loop()
        self.waiting = 0

    def run(self, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Have a thread call `work`. Raises `Overloaded`."""
        if self.waiting >= self._waiting_max:
            raise Overloaded
        self.waiting += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put((future, work, arguments))
        if len(self._threads) < min(self.waiting, self._threads_max):
            thread = Thread(target=copy_context().run, args=(self._serve,), name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def close(self) -> None:
        """Finish what waits and end the threads. Blocks until then."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _serve(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            future, work, arguments = item
            try:
                self._done.append((future, work(*arguments), None))
            except BaseException as error:  # noqa: BLE001  # a thread's border: raised where the call is awaited
                self._done.append((future, None, error))
            if not self._announced:
                self._announced = True
                self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._announced = False  # first, so that what is appended from here on announces itself
        while self._done:
            future, value, error = self._done.popleft()
            self.waiting -= 1
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
