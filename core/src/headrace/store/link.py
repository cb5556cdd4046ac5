"""One connection to a file: the driver's, and SQLAlchemy's around it once a Core statement is used."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Link:
    """Keeps both together: SQLAlchemy closes the driver's connection when its own is forgotten."""

    __slots__ = ("core", "raw")

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.core: Connection | None = None

    def as_core(self) -> Connection:
        """Return SQLAlchemy's connection, made at the first call."""
        if self.core is None:
            from headrace.store.dialect import wrap

            self.core = wrap(self.raw)
        return self.core

    def end(self, word: Literal["COMMIT", "ROLLBACK"]) -> None:
        """End the transaction, on both layers if both took part."""
        core = self.core
        if core is not None and core.in_transaction():
            core.commit() if word == "COMMIT" else core.rollback()
        if self.raw.in_transaction:
            self.raw.execute(word)

    def close(self) -> None:
        """Close the connection. What is not committed is rolled back."""
        (self.core or self.raw).close()
