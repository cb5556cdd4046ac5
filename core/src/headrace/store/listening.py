"""Hearing of what other processes wrote: PostgreSQL's notifications, or the commits to SQLite's file.

A notice carries a topic and ids, never what was written: payloads are limited to 8000 bytes, and the rows are there to be read.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from headrace.model.errors import StoreError

if TYPE_CHECKING:
    from headrace.store.database import Database, Published
    from headrace.store.postgresql import PostgresDatabase

CHANNEL = "headrace"
NOTIFY = b"SELECT pg_notify($1, $2)"
PAYLOAD_BYTES_MAX = 7900  # PostgreSQL allows less than 8000
WATCH_SECONDS = 0.05
QUIET_WATCH_SECONDS = 0.2
QUIET_LOOKS = 100
"""After so many looks at a file that nobody wrote to, looks are rarer: an idle server should use next to no processor time."""
WAIT_SECONDS = 0.2
RECONNECT_SECONDS = 1.0
READY_SECONDS_MAX = 10.0

Notice = tuple[str, list[str]]
"""A topic, and the ids of its messages as text."""
Callback = Callable[[Notice | None], None]


def watch_file(database: Database, callback: Callback) -> Callable[[], None]:
    """Call `callback(None)` soon after commits to the database's file; see `Database.listen`."""
    if database.path is None:
        return lambda: None  # nobody else sees a database in memory
    with database.read():
        pass  # the file is there from here on
    path = database.path

    def watch(stop: threading.Event, ready: threading.Event) -> None:
        seen = None
        while not stop.is_set():
            try:
                with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as raw:
                    before, seen = seen, _commits(raw)
                    if before is not None:
                        callback(None)
                    ready.set()
                    looks = 0
                    while not stop.wait(WATCH_SECONDS if looks < QUIET_LOOKS else QUIET_WATCH_SECONDS):
                        looks += 1
                        if (now := _commits(raw)) != seen:
                            seen, looks = now, 0
                            callback(None)
            except sqlite3.Error:
                stop.wait(RECONNECT_SECONDS)

    return _in_thread(watch)


def _commits(raw: sqlite3.Connection) -> int:
    """Return a number that changes when another connection, of whatever process, has committed."""
    return raw.execute("PRAGMA data_version").fetchone()[0]


def listen_to_postgres(database: PostgresDatabase, callback: Callback) -> Callable[[], None]:
    """Call `callback` for what other processes published, and with None after a lost connection came back; see `Database.listen`."""
    import psycopg

    def hear(stop: threading.Event, ready: threading.Event) -> None:
        was_lost = False
        while not stop.is_set():
            try:
                with closing(database.connect()) as raw:
                    raw.execute(f"LISTEN {CHANNEL}".encode())
                    ready.set()
                    if was_lost:
                        callback(None)
                    while not stop.is_set():
                        for note in raw.notifies(timeout=WAIT_SECONDS):
                            _tell(note.payload, database.token, callback)
            except (psycopg.Error, StoreError):
                was_lost = True
                ready.set()
                stop.wait(RECONNECT_SECONDS)

    return _in_thread(hear)


def _tell(payload: str, own: str, callback: Callback) -> None:
    token, topic, ids = json.loads(payload)
    if token != own:
        callback(None if ids is None else (topic, ids))


def payloads(token: str, published: Sequence[Published]) -> Iterator[str]:
    """Say for `NOTIFY` what every other process that listens is to hear, once the transaction is committed.

    The ids are packed into as few payloads as there must be. An id that is too long for any becomes "look for what is new".
    """
    for topic, messages in published:
        room = PAYLOAD_BYTES_MAX - len(json.dumps([token, topic, []]).encode())
        chunk: list[str] = []
        size = 0
        for id in dict.fromkeys(map(_id_of, messages)):
            length = len(json.dumps(id).encode()) + 2
            if length > room:
                yield json.dumps([token, topic, None])
                continue
            if size + length > room:
                yield json.dumps([token, topic, chunk])
                chunk, size = [], 0
            chunk.append(id)
            size += length
        if chunk:
            yield json.dumps([token, topic, chunk])


def _id_of(message: Any) -> str:
    """Return a message's id as text: its field `id`, its first element if it is a row, or the message itself."""
    return str(cast("Sequence[Any]", message)[0] if isinstance(message, tuple | list) else getattr(message, "id", message))


def _in_thread(body: Callable[[threading.Event, threading.Event], None]) -> Callable[[], None]:
    """Run `body(stop, ready)` in a daemon thread; return once it listens, with the function that ends it."""
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=body, args=(stop, ready), name="headrace-database-listener", daemon=True)
    thread.start()
    ready.wait(READY_SECONDS_MAX)

    def end() -> None:
        stop.set()
        if threading.current_thread() is not thread:
            thread.join(RECONNECT_SECONDS)

    return end
