"""A pool of threads for submitted tasks.

Two things that `concurrent.futures` does not do: it makes a thread only when the present ones are busy *waiting* (a thousand quick tasks
take a handful of threads, a thousand sleeping ones a thousand), and a task that waits for another lends its place meanwhile, so nested
submission cannot deadlock a bounded pool.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from queue import SimpleQueue

from headrace.engine import futures

START_THREADS = 4
GROWTH_TICK_SECONDS = 0.005
STALLED_TICKS = 2
"""When no task has ended for so many ticks while others are queued, the threads are waiting: their number is doubled."""
STEADY_GROWTH_TICKS = 20
"""And one is added every so many ticks in any case, for tasks that spin while they wait for a queued one."""

Work = Callable[[], None]


class Pool:
    """Runs work in at most `limit` threads at once (None: as many as are waiting). Threads end when the pool is closed."""

    def __init__(self, limit: int | None, name: str) -> None:
        self._limit = limit
        self._name = name
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._ended = 0
        self._lent = 0
        self._running_slots = threading.Semaphore(limit) if limit is not None else None
        self._grower: threading.Thread | None = None
        self._expected = 0
        self._nothing_expected: threading.Event | None = None
        self._closed = False
        self._closing = threading.Event()

    def expect(self) -> None:
        """Say that `submit` will be called once, now or later: `close` waits for that work."""
        with self._lock:
            self._expected += 1

    def submit(self, work: Work) -> None:
        """Queue `work` that was expected. It must not raise."""
        self._queue.put(work)
        if self._queue.qsize() > self._idle:
            if len(self._threads) < START_THREADS:
                self._spawn(1)
            elif self._grower is None:
                self._start_growing()

    def run_queued(self) -> None:
        """Do what is queued in the calling thread."""
        from queue import Empty

        while True:
            try:
                work = self._queue.get_nowait()
            except Empty:
                return
            if work is not None:
                work()
                self._has_ended()

    def close(self, wait: bool = True) -> None:
        """Let the threads finish what was expected, then end. With `wait`, return when they have."""
        with self._lock:
            ended = self._nothing_expected = threading.Event() if wait and self._expected else None
        if ended is not None:
            ended.wait()
        with self._lock:
            self._closed = True
            threads = list(self._threads) if wait else []
            grower = self._grower
        self._closing.set()
        if grower is not None:
            grower.join()
        for _ in self._threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()

    def _spawn(self, count: int) -> None:
        with self._lock:
            if self._closed:
                return
            if self._limit is not None:
                count = min(count, self._limit + self._lent - len(self._threads))
            for _ in range(count):
                number = len(self._threads)
                thread = threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _start_growing(self) -> None:
        with self._lock:
            if self._grower is not None or self._closed or (self._limit is not None and len(self._threads) >= self._limit + self._lent):
                return
            self._grower = threading.Thread(target=self._grow, name=f"{self._name}-grower", daemon=True)
            self._grower.start()

    def _grow(self) -> None:
        ticks = stalled = 0
        ended = self._ended
        while True:
            self._closing.wait(GROWTH_TICK_SECONDS)
            waiting = self._queue.qsize()
            if waiting == 0 or self._closed:
                with self._lock:
                    self._grower = None
                return
            ticks += 1
            stalled = stalled + 1 if self._ended == ended else 0
            ended = self._ended
            if stalled >= STALLED_TICKS:
                stalled = 0
                self._spawn(min(waiting, max(START_THREADS, len(self._threads))))
            elif ticks % STEADY_GROWTH_TICKS == 0:
                self._spawn(1)

    def _has_ended(self) -> None:
        with self._lock:
            self._expected -= 1
            if self._expected == 0 and self._nothing_expected is not None:
                self._nothing_expected.set()

    def _work(self) -> None:
        futures.set_blocked(self.lend)
        slots = self._running_slots
        while True:
            with self._lock:
                self._idle += 1
                self._ended += 1
            work = self._queue.get()
            with self._lock:
                self._idle -= 1
            if work is None:
                return
            if slots is None:
                work()
            else:
                with slots:
                    work()
            self._has_ended()
            del work  # what it holds is not kept until the next one comes

    @contextmanager
    def lend(self) -> Generator[None, None, None]:
        """Give this thread's place to another while the block waits."""
        with self._lock:
            self._lent += 1
        if self._running_slots is not None:
            self._running_slots.release()
        if not self._queue.empty() and self._idle == 0:
            self._spawn(1)
        try:
            yield
        finally:
            if self._running_slots is not None:
                self._running_slots.acquire()
            with self._lock:
                self._lent -= 1
