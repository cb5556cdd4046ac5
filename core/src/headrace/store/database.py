"""Connections and transactions. SQLite: one file, many processes, writers one after the other; the driver blocks.

What an address of PostgreSQL makes instead is in `postgresql.py`; statements are written once, for both (`translation.py` says how).
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from headrace.model import clock
from headrace.model.caller import EMBEDDED, Caller
from headrace.model.errors import StoreConflict, StoreError
from headrace.store import failures
from headrace.store.link import Link

if TYPE_CHECKING:
    from headrace.store.listening import Callback

BUSY_TIMEOUT_SECONDS = 60.0
RETRY_SECONDS_MIN = 0.0005
RETRY_SECONDS_MAX = 0.005
STATEMENTS_CACHED_MAX = 256
IDLE_CONNECTIONS_MAX = 16

T = TypeVar("T")
Row = tuple[Any, ...]
Published = tuple[str, Sequence[Any]]
"""A topic and its messages."""
Listener = Callable[[Sequence[Published]], None]


class Transaction:
    """What the operations read and write through. Valid inside its `with` block only.

    `caller` says who asked. `status` is what an operation sets when its answer is another success than the endpoint's usual one (200 for
    what was there already); `published` is what `Database.listeners` are told after the commit.
    """

    __slots__ = ("_link", "caller", "published", "status")

    def __init__(self, link: Link, caller: Caller = EMBEDDED) -> None:
        self._link = link
        self.caller = caller
        self.status: int | None = None
        self.published: list[Published] = []

    def publish(self, topic: str, messages: Sequence[Any]) -> None:
        """Have the database's listeners told of `messages` once this transaction is committed; never if it is rolled back."""
        self.published.append((topic, messages))

    # --- text on the driver, values in storage form; a broken key or reference raises `StoreConflict`

    def sql(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement with `?` places and return its rows.

        PostgreSQL may get one that answers nothing later, with the next that does or with the end; so may its failure come later.
        """
        try:
            return self._link.raw.execute(text, values).fetchall()
        except sqlite3.IntegrityError as error:
            raise StoreConflict(str(error)) from error

    def sql_one(self, text: str, values: Sequence[Any] = ()) -> Row | None:
        """Run one statement and return its first row."""
        try:
            return self._link.raw.execute(text, values).fetchone()
        except sqlite3.IntegrityError as error:
            raise StoreConflict(str(error)) from error

    def sql_count(self, text: str, values: Sequence[Any] = ()) -> int:
        """Run one statement and return how many rows it changed."""
        try:
            return self._link.raw.execute(text, values).rowcount
        except sqlite3.IntegrityError as error:
            raise StoreConflict(str(error)) from error

    def sql_many(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement once for each row of values."""
        try:
            self._link.raw.executemany(text, rows)
        except sqlite3.IntegrityError as error:
            raise StoreConflict(str(error)) from error

    def lock(self, table: str, column: str, values: Iterable[Any]) -> None:
        """Keep the rows of `table` with these values of `column` (a key) from changing until this transaction ends.

        Call it before reading what is then written in dependence on what was read. On SQLite nothing is to be done: who writes is alone.
        """


_databases: WeakSet[Database] = WeakSet()
_held: list[Database] = []  # those whose writers wait while this process forks


class Database:
    """One database, for all threads of this process. A child made by `fork` opens connections of its own.

    `url` is `sqlite:///path` (or `sqlite://` for one in memory) or `postgresql://user:password@host:port/name`; a driver named in it
    (`sqlite+aiosqlite`, `postgresql+asyncpg`) makes no difference. Nothing is opened before the first transaction; then the schema is
    made, or migrated, if need be. `connect_arguments` are given to the driver's `connect` in addition to ours, and win over them.
    Raises `StoreError`; `StoreUnavailable` for what may pass.
    """

    def __new__(cls, url: str, connect_arguments: Mapping[str, Any] | None = None) -> Database:
        if cls is Database and url.startswith("postgres"):
            from headrace.store.postgresql import PostgresDatabase

            cls = PostgresDatabase
        return object.__new__(cls)

    def __init__(self, url: str, connect_arguments: Mapping[str, Any] | None = None) -> None:
        self._connect_arguments: dict[str, Any] = {
            "timeout": BUSY_TIMEOUT_SECONDS,
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": STATEMENTS_CACHED_MAX,
            **(connect_arguments or {}),
        }
        self._start(url, _path_of(url))

    def _start(self, url: str, path: Path | None = None) -> None:
        self.url = url
        self.path = path
        self.listeners: list[Listener] = []
        """Called after a commit that published something, in the thread that committed; they must neither raise nor wait."""
        self._forget()
        _databases.add(self)

    def _forget(self) -> None:
        self._process = os.getpid()
        self._idle: list[Link] = []
        self._writer = threading.RLock()  # writers of one process queue here: a lock is fairer than SQLite's polling
        self._opening = threading.Lock()
        self._is_open = False
        # one connection holds a database in memory, so its readers queue too
        self._reader = self._writer if self.path is None else _NOTHING

    @contextmanager
    def write(self, caller: Caller = EMBEDDED) -> Generator[Transaction, None, None]:
        """Open a transaction that writes. It alone writes to the file until the block ends; an error rolls everything back."""
        if self._process != os.getpid():
            self._forget()
        with self._writer:
            link = self._take()
            tx = Transaction(link, caller)
            try:
                self._begin(link, "BEGIN IMMEDIATE")
                yield tx
                link.end("COMMIT")
            except BaseException as error:
                self._abandon(link)
                failures.reraise(error, self.path)
                raise
            self._give(link)
        if tx.published:
            for listener in self.listeners:
                listener(tx.published)

    @contextmanager
    def read(self, caller: Caller = EMBEDDED) -> Generator[Transaction, None, None]:
        """Open a transaction that reads one consistent state of the database, whoever writes meanwhile."""
        if self._process != os.getpid():
            self._forget()
        with self._reader:
            link = self._take()
            try:
                self._begin(link, "BEGIN")
                yield Transaction(link, caller)
                link.end("ROLLBACK")
            except BaseException as error:
                self._abandon(link)
                failures.reraise(error, self.path)
                raise
            self._give(link)

    def transact(self, work: Callable[[Transaction], T], caller: Caller = EMBEDDED) -> T:
        """Do `work` in a transaction that writes and return its answer.

        On PostgreSQL it is done again, a bounded number of times, when the database took the transaction back because another one changed the
        same: several servers write at once there, and a deadlock ends by letting one of them start over.
        """
        with self.write(caller) as tx:
            return work(tx)

    def listen(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` when other processes have written, until the returned function is called.

        It gets `(topic, ids)` for what a server elsewhere published: the texts of the messages' ids, or the messages themselves where they
        are texts. It gets None when something may have been written of which nothing more is known: look for what is new. That is all that
        SQLite tells, within 50 ms (200 ms after a quiet time), and it tells of this process's own commits too; PostgreSQL tells it after a
        lost connection came back. Called in a thread of its own; must not raise.
        """
        from headrace.store.listening import watch_file

        return watch_file(self, callback)

    def close(self) -> None:
        """Close what is idle. The next transaction opens the database again."""
        idle, self._idle = self._idle, []
        if self._process == os.getpid():
            for link in idle:
                link.close()

    # --- connections

    def _take(self) -> Link:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        with self._opening:
            if self.path is None and self._idle:
                return self._idle.pop()
            try:
                link = self.connect()
                if not self._is_open:
                    from headrace.store import opening

                    opening.prepare(link, self.path)
                    self._is_open = True
                link.raw.execute("PRAGMA busy_timeout=0")  # from here on `_begin` waits
            except sqlite3.Error as error:
                failures.reraise(error, self.path)
                raise
            return link

    def connect(self) -> Link:
        """Open a connection outside the pool; the schema is left as it is."""
        if self.path is not None:
            failures.make_folder(self.path.parent)
        try:
            raw: sqlite3.Connection = sqlite3.connect(":memory:" if self.path is None else self.path, **self._connect_arguments)
        except TypeError as error:
            raise StoreError(
                f"The database driver refuses an argument that it was given: {error}. A plugin's hook `headrace_database_connection` asked for "
                "it; mend that plugin, or switch its hooks off with HEADRACE_PLUGINS_ENABLED=0."
            ) from error
        raw.execute("PRAGMA synchronous=NORMAL")
        raw.execute("PRAGMA foreign_keys=ON")
        return Link(raw)

    def _give(self, link: Link) -> None:
        if self.path is None or len(self._idle) < IDLE_CONNECTIONS_MAX:
            self._idle.append(link)
        else:
            link.close()

    def _abandon(self, link: Link) -> None:
        """Roll back; a connection that cannot even do that is not used again."""
        try:
            link.end("ROLLBACK")
        except Exception:  # noqa: BLE001  # whatever is broken, the error that brought us here is the one to tell
            link.close()
        else:
            self._give(link)

    def _begin(self, link: Link, word: str) -> None:
        """Begin a transaction. While others hold the lock try again, up to a limit.

        SQLite's own waiting sleeps up to a tenth of a second at a time, so that the unlucky wait for seconds while others come and go;
        it is switched off here. A try costs some ten microseconds.
        """
        deadline = 0.0
        pause = RETRY_SECONDS_MIN
        while True:
            try:
                link.raw.execute(word)
                if word == "BEGIN":
                    link.raw.execute("SELECT 1 FROM alembic_version")  # the moment that all reads of this transaction see
                return
            except sqlite3.OperationalError as error:
                if not failures.is_busy(error):
                    raise
                if link.raw.in_transaction:
                    link.raw.execute("ROLLBACK")
                now = clock.monotonic()
                deadline = deadline or now + BUSY_TIMEOUT_SECONDS
                if now >= deadline:
                    raise
                clock.sleep(pause * (0.5 + random.random()))
                pause = min(pause * 1.5, RETRY_SECONDS_MAX)


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


_NOTHING = _Nothing()


def _path_of(url: str) -> Path | None:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] != "sqlite":
        raise StoreError(
            f"headrace cannot open the database at '{scheme}://…'. Set HEADRACE_SERVER_DATABASE_CONNECTION_URL to sqlite:///path/to/file "
            "or postgresql://user:password@host:port/name."
        )
    rest = rest.partition("?")[0]
    if rest in ("", "/", "/:memory:") or rest.startswith("/file::memory:"):
        return None
    return Path(rest[1:]).expanduser()


# --- fork: a child copies SQLite's own record of who holds the file, so no other thread may be writing at that moment


def _before_fork() -> None:
    _held.extend(_databases)
    for database in _held:
        database._writer.acquire()  # pyright: ignore[reportPrivateUsage]  # this file's own


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop()._writer.release()  # pyright: ignore[reportPrivateUsage]  # this file's own


def _after_fork_in_child() -> None:
    while _held:
        _held.pop()._forget()  # pyright: ignore[reportPrivateUsage]  # this file's own


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
