"""Databases on PostgreSQL: the same transactions as on SQLite, over a bounded pool of connections. Imported for such an address only.

Transactions that write are READ COMMITTED and lock the rows that they read before they write (`Transaction.lock`); those that read see one
moment. What a server loses by a crash, a deadlock or a full pool is a `StoreUnavailable`: nothing was stored and it may be tried again.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from headrace.model import clock, ids
from headrace.model.caller import EMBEDDED, Caller
from headrace.model.errors import StoreContention, StoreError, StoreUnavailable
from headrace.store import listening, postgres_failures, postgres_opening
from headrace.store.address import PostgresOptions, postgres_options
from headrace.store.database import STATEMENTS_CACHED_MAX, Database, Row, Transaction
from headrace.store.pool import Pool, PoolExhausted
from headrace.store.translation import translated

try:
    import psycopg
except ImportError as error:
    raise StoreError("PostgreSQL needs a driver that is not installed: pip install 'headrace[server]'.") from error

from headrace.store import postgres_values

READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITING = b"BEGIN ISOLATION LEVEL READ COMMITTED"
PREPARED_AFTER = 2
"""A statement run more often than this on one connection is prepared there."""
STALE_TRIES_MAX = 20
CONTENTION_TRIES_MAX = 8
CONTENTION_SECONDS_MAX = 0.1

T = TypeVar("T")

_inherited: list[Any] = []  # a child made by fork must not touch its parent's connections, not even to drop them


class PostgresLink:
    """One connection, and the cursor that everything on it goes through."""

    __slots__ = ("cursor", "generation", "opened", "raw")

    def __init__(self, raw: psycopg.Connection[Row]) -> None:
        self.raw = raw
        self.cursor = psycopg.RawCursor(raw)
        self.opened = 0.0
        self.generation = 0

    def close(self) -> None:
        """Close the connection; the server rolls back what is not committed."""
        self.raw.close()


class PostgresTransaction(Transaction):
    """A transaction on PostgreSQL; see `Transaction`."""

    __slots__ = ("_cursor", "_place")

    def __init__(self, link: PostgresLink, place: str, caller: Caller = EMBEDDED) -> None:
        self._cursor = link.cursor
        self._place = place
        self.caller = caller
        self.status = None
        self.published = []

    def sql(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        cursor = self._run(text, values)
        result = cursor.pgresult
        return cursor.fetchall() if result is not None and result.nfields else []

    def sql_one(self, text: str, values: Sequence[Any] = ()) -> Row | None:
        cursor = self._run(text, values)
        result = cursor.pgresult
        return cursor.fetchone() if result is not None and result.nfields else None

    def sql_count(self, text: str, values: Sequence[Any] = ()) -> int:
        return self._run(text, values).rowcount

    def sql_many(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            self._cursor.executemany(translated(text), rows)
        except psycopg.Error as error:
            postgres_failures.reraise(error, self._place)
            raise

    def lock(self, table: str, column: str, values: Iterable[Any]) -> None:
        wanted = sorted(set(values))
        if wanted:
            places = ", ".join("?" * len(wanted))
            self._run(f"SELECT 1 FROM {table} WHERE {column} IN ({places}) ORDER BY {column} FOR UPDATE", wanted)

    def _run(self, text: str, values: Sequence[Any]) -> psycopg.RawCursor[Row]:
        try:
            return self._cursor.execute(translated(text), values, binary=True)
        except psycopg.Error as error:
            postgres_failures.reraise(error, self._place)
            raise


class PostgresDatabase(Database):
    """A database on PostgreSQL; see `Database`. The first transaction makes the schema, or brings an older one up to date."""

    def __init__(self, url: str, connect_arguments: Mapping[str, Any] | None = None) -> None:
        self._given = connect_arguments or {}
        self._start(url)

    def _forget(self) -> None:
        super()._forget()
        if hasattr(self, "_pool"):
            _inherited.append(self._pool)
        self._pool: Pool[PostgresLink] | None = None
        self.token = ids.random_hex()  # marks what this process tells the others, so that it need not hear it

    @cached_property
    def options(self) -> PostgresOptions:
        """What connections are opened with: read from the address and the settings when the first one is."""
        from headrace.settings import get_current_settings

        return postgres_options(self.url, get_current_settings().server.database, self._given)

    @contextmanager
    def write(self, caller: Caller = EMBEDDED) -> Generator[Transaction, None, None]:
        pool, link = self._begin_somewhere(WRITING)
        tx = PostgresTransaction(link, self.options.place, caller)
        try:
            yield tx
            if tx.published:
                listening.notify(link.cursor, self.token, tx.published)
            link.cursor.execute(b"COMMIT")
        except BaseException as error:
            _take_back(pool, link)
            postgres_failures.reraise(error, self.options.place)
            raise
        pool.give(link)
        if tx.published:
            for listener in self.listeners:
                listener(tx.published)

    @contextmanager
    def read(self, caller: Caller = EMBEDDED) -> Generator[Transaction, None, None]:
        pool, link = self._begin_somewhere(READING)
        try:
            yield PostgresTransaction(link, self.options.place, caller)
            link.cursor.execute(b"COMMIT")
        except BaseException as error:
            _take_back(pool, link)
            postgres_failures.reraise(error, self.options.place)
            raise
        pool.give(link)

    def transact(self, work: Callable[[Transaction], T], caller: Caller = EMBEDDED) -> T:
        for attempt in range(1, CONTENTION_TRIES_MAX):
            try:
                with self.write(caller) as tx:
                    return work(tx)
            except StoreContention:
                clock.sleep(random.random() * CONTENTION_SECONDS_MAX * attempt / CONTENTION_TRIES_MAX)
        return super().transact(work, caller)

    def close(self) -> None:
        if self._pool is not None and self._process == os.getpid():
            self._pool.forget_idle()

    def listen(self, callback: listening.Callback) -> Callable[[], None]:
        return listening.listen_to_postgres(self, callback)

    # --- connections

    def _begin_somewhere(self, word: bytes) -> tuple[Pool[PostgresLink], PostgresLink]:
        """Take a connection and begin. One that the server ended while it was idle is replaced, and so are its like."""
        if self._process != os.getpid():
            self._forget()
        pool = self._opened_pool()
        for attempt in range(STALE_TRIES_MAX):
            try:
                link = pool.take()
            except PoolExhausted as error:
                raise StoreUnavailable(
                    f"All {error.args[0]} connections to the database {self.options.place} stayed in use for {self.options.pool_timeout:g} "
                    "seconds. Raise HEADRACE_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE, or look for transactions that do not end."
                ) from error
            except psycopg.Error as error:
                postgres_failures.reraise(error, self.options.place)
                raise
            try:
                link.cursor.execute(word)
                return pool, link
            except psycopg.OperationalError as error:
                pool.discard(link)
                pool.forget_idle()
                if attempt == STALE_TRIES_MAX - 1:
                    postgres_failures.reraise(error, self.options.place)
                    raise
            except BaseException:
                pool.discard(link)
                raise
        raise AssertionError("not reached")

    def _opened_pool(self) -> Pool[PostgresLink]:
        """Return the pool. The first call of a process makes sure that the schema is there."""
        pool = self._pool
        if pool is None:
            options = self.options
            with self._opening:
                pool = self._pool
                if pool is None:
                    pool = Pool(
                        lambda: PostgresLink(self.connect()), options.pool_size, options.max_overflow, options.pool_timeout, options.pool_recycle
                    )
                    if not self._is_open:
                        try:
                            with self.connect() as raw:
                                postgres_opening.prepare(raw, self)
                        except psycopg.Error as error:
                            postgres_failures.reraise(error, options.place)
                            raise
                        self._is_open = True
                    self._pool = pool
        return pool

    def connect(self) -> Any:
        """Open a connection of the driver outside the pool; the schema is left as it is. Raises the driver's errors."""
        options = self.options
        try:
            raw = psycopg.connect(**options.arguments, autocommit=True, prepare_threshold=PREPARED_AFTER if options.prepares else None)
        except (psycopg.ProgrammingError, TypeError) as error:
            raise StoreError(f"The driver of PostgreSQL refuses the address of the database {options.place}: {str(error).strip()}.") from error
        raw.prepared_max = STATEMENTS_CACHED_MAX
        postgres_values.register(raw)
        return raw


def _take_back(pool: Pool[PostgresLink], link: PostgresLink) -> None:
    """Roll back. A connection that cannot even do that is not used again."""
    try:
        link.cursor.execute(b"ROLLBACK")
    except Exception:  # noqa: BLE001  # whatever is broken, the error that brought us here is the one to tell
        pool.discard(link)
    else:
        pool.give(link)
