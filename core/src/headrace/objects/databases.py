"""`CursorDatabase`: database blocks over drivers of the Python DB-API (PEP 249). Fetching again goes on where the last fetch stopped."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast
from weakref import WeakKeyDictionary

from pydantic import Field, PrivateAttr

from headrace.client import bridge
from headrace.client.bridge import blocking
from headrace.objects.abstract import DatabaseBlock
from headrace.objects.live import Live
from headrace.objects.offload import offload

R = TypeVar("R")

CURSORS_MAX = 1000
"""Results that one thread or task may have begun to read and not read to the end."""


class _Result:
    """One operation's result, as far as it has been read. Without a cursor: to the end."""

    def __init__(self, cursor: Any) -> None:
        self.cursor: Any = cursor


class _Session:
    """A connection and the results that are being read over it, apart for each thread and async task."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.lock = threading.RLock()
        self.results: WeakKeyDictionary[Any, dict[Any, _Result]] = WeakKeyDictionary()

    def of(self, reader: Any) -> dict[Any, _Result]:
        with self.lock:
            return self.results.setdefault(reader, {})

    @property
    def open_results(self) -> list[_Result]:
        with self.lock:
            return [one for results in self.results.values() for one in results.values() if one.cursor is not None]


class CursorDatabase(DatabaseBlock, ABC):
    """A database reached over a DB-API connection. A subclass gives `open_connection`; see the hooks below it for what else may differ.

    - `fetch_one`, `fetch_many` and `fetch_all` with the same operation, parameters and options go on reading one result: past its end they give
      None or []. `reset_cursors` lets the next one run the operation again. Each thread and each async task reads results of its own.
    - `execute` and `execute_many` always run, and are committed at once.
    - The connection is made at first use and closed by `close` or at the end of `with`; the block can be used again afterwards. A transaction
      that a fetch began is committed when no result is left to be read, or at `reset_cursors` and `close`, and rolled back when a fetch fails
      or the `with` block does.
    - Copies and pickles have the fields and no connection.
    """

    _is_interface: ClassVar[bool] = True

    _commits: ClassVar[bool] = True
    """Whether transactions are ended here. False for drivers that commit each statement by themselves."""
    _is_parallel: ClassVar[bool] = False
    """Whether the driver lets several threads use one connection at once (PEP 249: threadsafety 2 or 3). Else they take turns."""

    fetch_size: int = Field(default=1, ge=1, description="The default number of rows to fetch at a time.")

    _session: Live[_Session] = PrivateAttr(default_factory=Live[_Session])

    # --- what a plugin writes, blocking

    @abstractmethod
    def open_connection(self) -> Any:
        """Make a DB-API connection. Called at first use and again after `close`; other threads may use what it returns."""

    def is_usable(self, connection: Any) -> bool:
        """Say whether a connection can still be used, as far as is known without asking the database; if not, the next call makes another."""
        return True

    def open_cursor(self, connection: Any, options: dict[str, Any]) -> Any:
        """Make a cursor. What of `options` (a call's further arguments) is meant for this is taken out of it."""
        return connection.cursor()

    def run_on(self, cursor: Any, operation: str, parameters: Any, options: Mapping[str, Any]) -> None:
        """Run an operation on a cursor."""
        if parameters is None:
            cursor.execute(operation, **options)
        else:
            cursor.execute(operation, parameters, **options)

    def run_many_on(self, cursor: Any, operation: str, seq_of_parameters: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Run an operation once for each set of parameters."""
        cursor.executemany(operation, seq_of_parameters, **options)

    # --- what users call

    async def afetch_one(self, operation: str, parameters: Any = None, **execution_kwargs: Any) -> tuple[Any, ...] | None:
        """Return the next row of an operation's result; None past its end."""
        return await self._fetched(operation, parameters, execution_kwargs, _next_row)

    async def afetch_many(self, operation: str, parameters: Any = None, size: int | None = None, **execution_kwargs: Any) -> list[tuple[Any, ...]]:
        """Return the next `size` rows (default: `fetch_size`) of an operation's result; fewer at its end, none past it."""
        return await self._fetched(operation, parameters, execution_kwargs, partial(_next_rows, size=size or self.fetch_size))

    async def afetch_all(self, operation: str, parameters: Any = None, **execution_kwargs: Any) -> list[tuple[Any, ...]]:
        """Return the rows of an operation's result that were not fetched yet."""
        return await self._fetched(operation, parameters, execution_kwargs, _all_rows)

    async def aexecute(self, operation: str, parameters: Any = None, **execution_kwargs: Any) -> None:
        """Run an operation that returns nothing, as INSERT, and commit it."""
        await offload(self._executed, self.run_on, operation, parameters, execution_kwargs)

    async def aexecute_many(self, operation: str, seq_of_parameters: Sequence[Any], **execution_kwargs: Any) -> None:
        """Run an operation that returns nothing once for each set of parameters, and commit them together."""
        await offload(self._executed, self.run_many_on, operation, seq_of_parameters, execution_kwargs)

    async def areset_cursors(self) -> None:
        """Let go of every result, of all threads: the next fetch runs its operation again. What fetching did is committed."""
        await offload(self._reset)

    async def aclose(self) -> None:
        """Let go of every result and close the connection. The next call makes a new one."""
        await offload(self._close, True)

    if TYPE_CHECKING:

        def fetch_one(self, operation: str, parameters: Any = None, **execution_kwargs: Any) -> tuple[Any, ...] | None: ...
        def fetch_many(self, operation: str, parameters: Any = None, size: int | None = None, **execution_kwargs: Any) -> list[tuple[Any, ...]]: ...
        def fetch_all(self, operation: str, parameters: Any = None, **execution_kwargs: Any) -> list[tuple[Any, ...]]: ...
        def execute(self, operation: str, parameters: Any = None, **execution_kwargs: Any) -> None: ...
        def execute_many(self, operation: str, seq_of_parameters: Sequence[Any], **execution_kwargs: Any) -> None: ...
        def reset_cursors(self) -> None: ...
        def close(self) -> None: ...
    else:
        fetch_one = blocking(afetch_one)
        fetch_many = blocking(afetch_many)
        fetch_all = blocking(afetch_all)
        execute = blocking(aexecute)
        execute_many = blocking(aexecute_many)
        reset_cursors = blocking(areset_cursors)
        close = blocking(aclose)

    def get_connection(self) -> Any:
        """Return the connection, made if need be."""
        return self._in_use().connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._close(args[0] is None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await offload(self._close, args[0] is None)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in type(self).model_fields and name != "fetch_size":
            self._close(True)  # the connection was made from other values

    # --- how

    def _in_use(self) -> _Session:
        session = self._session.get(self._opened)
        if not self.is_usable(session.connection):
            self._session.drop(session)
            session = self._session.get(self._opened)
        return session

    def _opened(self) -> _Session:
        return _Session(self.open_connection())

    def _turn(self, session: _Session) -> AbstractContextManager[Any]:
        return nullcontext() if self._is_parallel else session.lock

    async def _fetched(self, operation: str, parameters: Any, options: dict[str, Any], read: Callable[[Any], tuple[R, bool]]) -> R:
        reader = threading.current_thread() if bridge.in_blocking_run() else _current_task()
        return await offload(self._fetch, reader, operation, parameters, options, read)

    def _fetch(self, reader: Any, operation: str, parameters: Any, options: dict[str, Any], read: Callable[[Any], tuple[R, bool]]) -> R:
        session = self._in_use()
        results = session.of(reader)
        key = (operation, _frozen(parameters), _frozen(options))
        with self._turn(session):
            result = results.get(key)
            try:
                if result is None:
                    result = results[key] = _Result(self._begun(session, results, operation, parameters, dict(options)))
                if result.cursor is None:
                    return read(_Ended())[0]
                rows, is_over = read(result.cursor)
            except BaseException:
                self._fail(session, results, key)
                raise
            if is_over:
                self._shut(result)
                if not session.open_results:
                    self._end_transaction(session, "commit")
            return rows

    def _begun(self, session: _Session, results: dict[Any, _Result], operation: str, parameters: Any, options: dict[str, Any]) -> Any:
        if sum(one.cursor is not None for one in results.values()) >= CURSORS_MAX:
            raise RuntimeError(f"{CURSORS_MAX} results are open and not read to their end. Use fetch_all, or call reset_cursors between them.")
        cursor = self.open_cursor(session.connection, options)
        try:
            self.run_on(cursor, operation, parameters, options)
        except BaseException:
            self._shut(_Result(cursor))
            raise
        return cursor

    def _executed(self, run: Callable[..., None], operation: str, parameters: Any, options: dict[str, Any]) -> None:
        session = self._in_use()
        options = dict(options)
        with self._turn(session):
            one = _Result(self.open_cursor(session.connection, options))
            try:
                run(one.cursor, operation, parameters, options)
            except BaseException:
                self._end_transaction(session, "rollback")
                raise
            finally:
                self._shut(one)
            self._end_transaction(session, "commit")

    def _fail(self, session: _Session, results: dict[Any, _Result], key: Any) -> None:
        failed = results.pop(key, None)
        if failed is not None:
            self._shut(failed)
        self._end_transaction(session, "rollback")

    def _end_transaction(self, session: _Session, how: str) -> None:
        if not self._commits:
            return
        try:
            getattr(session.connection, how)()
        except Exception as error:
            if how == "commit":
                raise
            self.logger.warning("A transaction could not be rolled back: %s", type(error).__name__)

    def _shut(self, result: _Result) -> None:
        cursor, result.cursor = result.cursor, None
        try:
            if cursor is not None:
                cursor.close()
        except Exception as error:  # noqa: BLE001  # the rows are read; what a driver makes of closing is its own affair
            self.logger.warning("A cursor could not be closed: %s: %s", type(error).__name__, error)

    def _reset(self) -> None:
        if self._session.is_made:
            self._let_go(self._in_use(), True)

    def _let_go(self, session: _Session, is_well: bool) -> None:
        with session.lock:
            begun = session.open_results
            for result in begun:
                self._shut(result)
            session.results.clear()
            if begun:
                self._end_transaction(session, "commit" if is_well else "rollback")

    def _close(self, is_well: bool) -> None:
        session = self._session.drop()
        if session is None:
            return
        try:
            self._let_go(session, is_well)
        finally:
            session.connection.close()


class _Ended:
    """A cursor past its end."""

    def fetchone(self) -> None:
        return None

    def fetchmany(self, size: int) -> list[Any]:
        return []

    def fetchall(self) -> list[Any]:
        return []


def _next_row(cursor: Any) -> tuple[tuple[Any, ...] | None, bool]:
    row = cursor.fetchone()
    return row, row is None


def _next_rows(cursor: Any, size: int) -> tuple[list[tuple[Any, ...]], bool]:
    rows = list(cursor.fetchmany(size))
    return rows, len(rows) < size


def _all_rows(cursor: Any) -> tuple[list[tuple[Any, ...]], bool]:
    return list(cursor.fetchall()), True


def _current_task() -> Any:
    import asyncio

    return asyncio.current_task() or threading.current_thread()


def _frozen(value: Any) -> Any:
    """Return something hashable that is equal for equal arguments: 1, 1.0 and True are told apart."""
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return ("mapping", frozenset((key, _frozen(item)) for key, item in items))
    if isinstance(value, list | tuple):
        return ("sequence", *(_frozen(item) for item in cast("Sequence[Any]", value)))
    try:
        hash(value)
    except TypeError:
        return (type(value), repr(value))
    return (type(value), value)
