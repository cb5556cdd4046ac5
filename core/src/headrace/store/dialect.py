"""Where SQLite and PostgreSQL differ. Imported when the first SQLAlchemy statement is run."""

from __future__ import annotations

import sqlite3
import threading
from functools import cache

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

_handed_over = threading.local()


@cache
def _engine() -> Engine:
    """Make the engine, once: SQLAlchemy asks the first connection of an engine some questions, and rolls it back.

    A connection to memory takes that part, since ours is in the middle of a transaction.
    """
    _handed_over.raw = sqlite3.connect(":memory:", check_same_thread=False)
    engine = create_engine("sqlite://", creator=lambda: _handed_over.raw, poolclass=NullPool)
    engine.connect().close()
    return engine


def wrap(raw: sqlite3.Connection) -> Connection:
    """Return SQLAlchemy's connection around an open one of the driver."""
    engine = _engine()
    _handed_over.raw = raw
    return engine.connect()
