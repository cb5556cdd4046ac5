"""One connection to PostgreSQL, spoken to in batches: what need not be waited for is sent together with what must be.

The driver's cursors wait for every answer. Here statements go through libpq's pipeline mode, so that a transaction costs as many round trips
as it has questions, and a statement a sixth of a cursor's processor time.
"""

from __future__ import annotations

import selectors
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result

PREPARED_AFTER = 2
"""A statement run more often than this on one connection is prepared there."""
PREPARED_MAX = 256
COUNTED_MAX = 1024
"""Texts whose uses are counted, before the counting starts anew."""

_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY)

Row = tuple[Any, ...]


class Statement(NamedTuple):
    """A text in PostgreSQL's words and its values as they travel."""

    text: bytes
    values: Sequence[Any] | None = None
    types: tuple[int, ...] = ()
    formats: Sequence[pq.Format] | None = None


class PostgresLink:
    """A connection in pipeline mode. `prepares` says whether statements may be prepared on it."""

    __slots__ = ("_names", "_new", "_numbers", "_ready", "_unread", "_uses", "_values", "_wire", "generation", "is_lost", "opened", "prepares", "raw")

    def __init__(self, raw: psycopg.Connection[Row], *, prepares: bool) -> None:
        self.raw = raw
        self.prepares = prepares
        self.opened = 0.0
        self.generation = 0
        self.is_lost = False
        """Whether it is of no use any more: the server ended it, or an answer was not read to its end."""
        self._wire = raw.pgconn
        self._wire.enter_pipeline_mode()
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._wire.socket, selectors.EVENT_READ)
        self._values = Transformer(raw)
        self._names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}  # of what is prepared, the one used last at the end
        self._new: list[tuple[bytes, tuple[int, ...]]] = []  # prepared with what is being sent
        self._uses: dict[tuple[bytes, tuple[int, ...]], int] = {}
        self._numbers = count()
        self._unread = 0

    def close(self) -> None:
        """Close the connection; the server rolls back what is not committed."""
        self._ready.close()
        self.raw.close()

    def statement(self, text: bytes, values: Sequence[Any]) -> Statement:
        """Return a statement with values in storage form, ready to be sent on any connection."""
        if not values:
            return Statement(text)
        given = self._values.dump_sequence(values, _automatic(len(values)))
        return Statement(text, given, self._values.types or (), self._values.formats)

    def exchange(self, statements: Sequence[Statement]) -> pq.abc.PGresult:
        """Run these statements one after the other; return what the last one answers. Raises the first error, after which none ran."""
        self.is_lost = True  # until everything is read
        if self._unread:
            self._read()
        self._send(statements)
        found = self._read()
        assert found is not None
        return found

    def leave(self, statements: Sequence[Statement]) -> None:
        """Send statements whose answers nobody needs. They are read before the next exchange."""
        self.is_lost = True
        if self._unread:
            self._read()
        self._send(statements)
        self._wire.flush()
        self.is_lost = False

    def rows(self, result: pq.abc.PGresult) -> list[Row]:
        """Return the rows of an answer."""
        if not result.nfields:
            return []
        self._values.set_pgresult(result)
        return self._values.load_rows(0, result.ntuples, tuple)

    def _send(self, statements: Sequence[Statement]) -> None:
        wire = self._wire
        for text, values, types, formats in statements:
            name = self._name_of(text, types) if self.prepares else None
            if name is None:
                wire.send_query_params(text, values, types, formats, pq.Format.BINARY)
            else:
                wire.send_query_prepared(name, values, formats, pq.Format.BINARY)
            self._unread += 1
        wire.pipeline_sync()

    def _name_of(self, text: bytes, types: tuple[int, ...]) -> bytes | None:
        """Return the name that a statement is prepared under, if it is used often."""
        key = (text, types)
        name = self._names.pop(key, None)
        if name is None:
            uses = self._uses.get(key, 0)
            if uses < PREPARED_AFTER:
                if len(self._uses) >= COUNTED_MAX:
                    self._uses.clear()
                self._uses[key] = uses + 1
                return None
            if len(self._names) >= PREPARED_MAX:
                oldest = self._names.pop(next(iter(self._names)))
                self._wire.send_query_params(b"DEALLOCATE " + oldest, None)
                self._unread += 1
            name = b"h%d" % next(self._numbers)
            self._wire.send_prepare(name, text, types)
            self._unread += 1
            self._new.append(key)
        self._names[key] = name
        return name

    def _read(self) -> pq.abc.PGresult | None:
        """Read every answer up to the end of what was sent; return the last. Raises the first error."""
        found: pq.abc.PGresult | None = None
        failed: pq.abc.PGresult | None = None
        for _ in range(self._unread):
            found = self._result()
            if found is None or self._result() is not None:
                raise self._gone(failed)
            if found.status not in _DONE:
                failed = failed or found
        end = self._result()
        if end is None or end.status != pq.ExecStatus.PIPELINE_SYNC:
            raise self._gone(failed)
        self._unread = 0
        self.is_lost = False
        if failed is not None:
            for key in self._new:  # it is not known which of them came to be prepared
                self._names.pop(key, None)
        self._new.clear()
        if failed is not None:
            raise error_from_result(failed)
        return found

    def _result(self) -> pq.abc.PGresult | None:
        """Return the next answer, None between two. (The driver's own call would keep every thread waiting until it is there.)"""
        wire = self._wire
        while wire.flush():
            self._ready.modify(wire.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            self._ready.select()
            self._ready.modify(wire.socket, selectors.EVENT_READ)
            wire.consume_input()
        while wire.is_busy():
            self._ready.select()
            wire.consume_input()
        return wire.get_result()

    def _gone(self, failed: pq.abc.PGresult | None) -> psycopg.Error:
        """Return the error of a connection that answers no more."""
        if failed is not None:
            return error_from_result(failed)
        return psycopg.OperationalError(bytes(self._wire.error_message).decode(errors="replace") or "The connection was lost.")


@lru_cache(maxsize=1024)
def _automatic(number: int) -> list[PyFormat]:
    return [PyFormat.AUTO] * number
