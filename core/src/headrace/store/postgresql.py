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
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.model import clock, ids
from headrace.model.caller import EMBEDDED, Caller
from headrace.model.errors import StoreConflict, StoreContention, StoreError, StoreUnavailable
from headrace.store import listening, postgres_failures, postgres_opening
from headrace.store.address import PostgresOptions, postgres_options
from headrace.store.database import Database, Row, Transaction
from headrace.store.pool import Pool, PoolExhausted
from headrace.store.translation import translated

try:
    import psycopg
except ImportError as error:
    raise StoreError("PostgreSQL needs a driver that is not installed: pip install 'headrace[server]'.") from error

from headrace.store import postgres_values
from headrace.store.postgres_link import PostgresLink, Statement

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITING = b"BEGIN ISOLATION LEVEL READ COMMITTED"
WAITING_MAX = 1_000
"""Statements that are kept back at most."""
STALE_TRIES_MAX = 20
CONTENTION_TRIES_MAX = 8
CONTENTION_SECONDS_MAX = 0.1

_COMMIT, _ROLLBACK = Statement(b"COMMIT"), Statement(b"ROLLBACK")

T = TypeVar("T")

_inherited: list[Any] = []  # a child made by fork must not touch its parent's connections, not even to drop them


class PostgresTransaction(Transaction):
    """A transaction on PostgreSQL; see `Transaction`.

    What answers nothing is kept back and sent with the next question, or with the end; so is its failure. A connection that turns out to
    be gone at the first sending is replaced, and its like with it.
    """

    __slots__ = ("_database", "_has_link", "_is_begun", "_link", "_pool", "_waiting")

    def __init__(self, database: PostgresDatabase, word: bytes, caller: Caller = EMBEDDED) -> None:
        self._database = database
        self._pool, self._link = database.take()
        self._waiting = [Statement(word)]
        self._is_begun = False
        self._has_link = True
        self.caller = caller
        self.status = None
        self.published = []

    def sql(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        query, answers = translated(text)
        if not answers:
            self._keep_back(query, values)
            return []
        result = self._ask(query, values)
        return self._link.rows(result)

    def sql_one(self, text: str, values: Sequence[Any] = ()) -> Row | None:
        rows = self.sql(text, values)
        return rows[0] if rows else None

    def sql_count(self, text: str, values: Sequence[Any] = ()) -> int:
        return self._ask(translated(text)[0], values).command_tuples or 0

    def sql_many(self, text: str, rows: Iterable[Sequence[Any]]) -> None:
        query, _ = translated(text)
        for row in rows:
            self._keep_back(query, row)
            if len(self._waiting) >= WAITING_MAX:
                self._flush()

    def lock(self, table: str, column: str, values: Iterable[Any]) -> None:
        wanted = sorted(set(values))
        if wanted:
            places = ", ".join("?" * len(wanted))
            self._keep_back(translated(f"SELECT 1 FROM {table} WHERE {column} IN ({places}) ORDER BY {column} FOR UPDATE")[0], wanted)

    def commit(self) -> None:
        """End it, and tell other processes what was published. Nothing was sent: nothing is to be done."""
        for payload in listening.payloads(self._database.token, self.published):
            self._keep_back(listening.NOTIFY, (listening.CHANNEL, payload))
        if len(self._waiting) > 1 and not self._is_begun:
            self._flush()  # a lost connection is replaced here; at the commit itself nobody would know what became of it
        if self._is_begun:
            self._waiting.append(_COMMIT)
            self._flush()
        self._pool.give(self._link)

    def leave(self) -> None:
        """End one that has only read."""
        if self._is_begun:
            try:
                self._link.leave([_COMMIT])
            except psycopg.Error:
                self._pool.discard(self._link)
                return
        self._pool.give(self._link)

    def take_back(self) -> None:
        """Undo it. A connection that cannot even do that is not used again."""
        if not self._has_link:
            return
        if self._is_begun or self._link.is_lost:
            try:
                self._link.exchange([_ROLLBACK])
            except BaseException:  # noqa: BLE001  # whatever is broken, the error that brought us here is the one to tell
                self._pool.discard(self._link)
                return
        self._pool.give(self._link)

    def _keep_back(self, query: bytes, values: Sequence[Any]) -> None:
        self._waiting.append(self._made(query, values))

    def _made(self, query: bytes, values: Sequence[Any]) -> Statement:
        try:
            return self._link.statement(query, values)
        except psycopg.Error as error:
            postgres_failures.reraise(error, self._database.options.place)
            raise

    def _ask(self, query: bytes, values: Sequence[Any]) -> PGresult:
        self._keep_back(query, values)
        return self._flush()

    def _flush(self) -> PGresult:
        """Send what was kept back and return the last answer."""
        statements, self._waiting = self._waiting, []
        tries = STALE_TRIES_MAX
        while True:
            try:
                found = self._link.exchange(statements)
                self._is_begun = True
                return found
            except psycopg.Error as error:
                tries -= 1
                if self._is_begun or not self._link.is_lost or not tries:
                    self._is_begun = True
                    postgres_failures.reraise(error, self._database.options.place)
                    raise
            self._has_link = False
            self._pool.discard(self._link)
            self._pool.forget_idle()
            self._pool, self._link = self._database.take()
            self._has_link = True


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
        tx = PostgresTransaction(self, WRITING, caller)
        try:
            yield tx
            tx.commit()
        except BaseException as error:
            tx.take_back()
            postgres_failures.reraise(error, self.options.place)
            raise
        if tx.published:
            for listener in self.listeners:
                listener(tx.published)

    @contextmanager
    def read(self, caller: Caller = EMBEDDED) -> Generator[Transaction, None, None]:
        tx = PostgresTransaction(self, READING, caller)
        try:
            yield tx
        except BaseException as error:
            tx.take_back()
            postgres_failures.reraise(error, self.options.place)
            raise
        tx.leave()

    def transact(self, work: Callable[[Transaction], T], caller: Caller = EMBEDDED) -> T:
        is_second = False
        for attempt in range(1, CONTENTION_TRIES_MAX):
            try:
                with self.write(caller) as tx:
                    return work(tx)
            except StoreConflict:  # another one wrote it first, perhaps: done again, `work` finds it there and says so in its own words
                if is_second:
                    raise
                is_second = True
            except StoreContention:
                clock.sleep(random.random() * CONTENTION_SECONDS_MAX * attempt / CONTENTION_TRIES_MAX)
        return super().transact(work, caller)

    def close(self) -> None:
        if self._pool is not None and self._process == os.getpid():
            self._pool.forget_idle()

    def listen(self, callback: listening.Callback) -> Callable[[], None]:
        return listening.listen_to_postgres(self, callback)

    # --- connections

    def take(self) -> tuple[Pool[PostgresLink], PostgresLink]:
        """Take a connection from the pool."""
        if self._process != os.getpid():
            self._forget()
        pool = self._opened_pool()
        try:
            return pool, pool.take()
        except PoolExhausted as error:
            raise StoreUnavailable(
                f"All {error.args[0]} connections to the database {self.options.place} stayed in use for {self.options.pool_timeout:g} "
                "seconds. Raise HEADRACE_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE, or look for transactions that do not end."
            ) from error
        except psycopg.Error as error:
            postgres_failures.reraise(error, self.options.place)
            raise

    def _opened_pool(self) -> Pool[PostgresLink]:
        """Return the pool. The first call of a process makes sure that the schema is there."""
        pool = self._pool
        if pool is None:
            options = self.options
            with self._opening:
                pool = self._pool
                if pool is None:
                    pool = Pool(
                        lambda: PostgresLink(self.connect(), prepares=options.prepares),
                        options.pool_size,
                        options.max_overflow,
                        options.pool_timeout,
                        options.pool_recycle,
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
            raw = psycopg.connect(**options.for_connection(), autocommit=True, prepare_threshold=None)
        except (psycopg.ProgrammingError, TypeError) as error:
            raise StoreError(f"The driver of PostgreSQL refuses the address of the database {options.place}: {str(error).strip()}.") from error
        postgres_values.register(raw)
        return raw
