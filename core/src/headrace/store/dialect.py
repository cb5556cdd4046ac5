"""Where SQLite and PostgreSQL differ. Imported when the first SQLAlchemy statement is run."""

from __future__ import annotations

import sqlite3
from typing import Any, Literal

from sqlalchemy import Connection, Table, create_engine
from sqlalchemy.pool import NullPool


def wrap(raw: sqlite3.Connection) -> Connection:
    """Return SQLAlchemy's connection around an open one of the driver.

    SQLAlchemy asks a new engine's first connection some questions and rolls it back, which would end our transaction: a connection
    to memory takes that part.
    """
    source: list[sqlite3.Connection] = [sqlite3.connect(":memory:", check_same_thread=False)]
    engine = create_engine("sqlite://", creator=lambda: source[0], poolclass=NullPool)
    engine.connect().close()
    source[0] = raw
    return engine.connect()


def insert(dialect: Literal["sqlite", "postgresql"], table: Table) -> Any:
    """Return the database's own INSERT, which knows ON CONFLICT."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as dialect_insert
    else:
        from sqlalchemy.dialects.postgresql import insert as dialect_insert
    return dialect_insert(table)
