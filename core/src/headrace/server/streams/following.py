"""What other processes commit, for the bus. PostgreSQL tells the ids; in an SQLite file the rows are numbered in the order of their commits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING
from uuid import UUID

from headrace.model import clock
from headrace.operations import streams
from headrace.store.database import Database

if TYPE_CHECKING:
    from headrace.server.streams.bus import Bus, Topic

logger = logging.getLogger("headrace.server.streams")

PAGE = 500
OVERLAP_US = 5_000_000
"""After a lost connection to PostgreSQL: how much before the last notice is looked at again, since commits do not come in order of time."""
REWIND = 1_000
"""After the newest rows of a file were deleted, their numbers are used again: how far back new rows are looked for then."""


class Follower:
    """Announces to `bus` what others commit to `database`."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._is_file = database.path is not None
        self._lock = Lock()
        self._begun: dict[str, tuple[int, int]] = {}  # of a topic that somebody receives: number of the last row seen, and since when
        self._heard = 0
        self._end: Callable[[], None] | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether it listens."""
        return self._end is not None

    def start(self) -> None:
        """Listen, in a thread of the store's."""
        self._end = self._database.listen(self._hear)

    def stop(self) -> None:
        """Listen no more."""
        end, self._end = self._end, None
        if end is not None:
            end()
        with self._lock:
            self._begun.clear()

    def begin(self, topic: Topic) -> None:
        """Announce the messages of `topic` that are committed from now on."""
        with self._lock:
            if topic.name not in self._begun:
                with self._database.read() as tx:
                    number = streams.last_row(tx, topic.table) if self._is_file else 0
                self._begun[topic.name] = (number, clock.now_us())

    def _hear(self, notice: tuple[str, Sequence[str]] | None) -> None:
        try:
            wanted = {topic.name: topic for topic in self._bus.wanted}
            if notice is None:
                self._look(wanted)
                self._bus.stir()
                return
            self._heard = clock.now_us()
            name, ids = notice
            if name in wanted:
                self._fetch(wanted[name], [UUID(id) for id in ids])
            else:
                self._bus.announce([(name, ids)])
        except Exception:  # a thread's border
            logger.exception("What another process wrote could not be read; subscribers of this server do not hear of it.")

    def _look(self, wanted: dict[str, Topic]) -> None:
        with self._lock:
            for name in [name for name in self._begun if name not in wanted]:
                del self._begun[name]
            for name, topic in wanted.items():
                number, since = self._begun.get(name, (0, clock.now_us()))
                if self._is_file:
                    self._begun[name] = (self._read_on(topic, number, since), since)
                else:
                    with self._database.read() as tx:
                        ids = streams.ids_since(tx, topic.table, max(since, self._heard - OVERLAP_US))
                    self._fetch(topic, ids)

    def _read_on(self, topic: Topic, number: int, since: int) -> int:
        oldest = 0
        while True:
            with self._database.read() as tx:
                newest = streams.last_row(tx, topic.table)
                if newest < number:
                    number, oldest = max(0, newest - REWIND), since
                rows = streams.rows_after(tx, topic.table, number, oldest, PAGE)
            if not rows:
                return newest
            number = rows[-1][0]
            self._fetch(topic, [id for _, id in rows])

    def _fetch(self, topic: Topic, ids: Sequence[UUID]) -> None:
        ids = [id for id in ids if self._bus.is_new(topic, id)]
        for start in range(0, len(ids), PAGE):
            with self._database.read() as tx:
                found = topic.by_id(tx, ids[start : start + PAGE])
            if found:
                self._bus.announce([(topic.name, found)])
