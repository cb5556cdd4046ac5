"""SQLAlchemy's connections around those of the drivers. Imported for migrations and for printing the schema, by nothing else."""

from __future__ import annotations

import sqlite3
import threading
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.pool import NullPool

_handed_over = threading.local()


class _PostgresTypes(PGTypeCompiler):
    """Makes columns sort and count as on SQLite: text by its characters' numbers, whole numbers of 64 bits."""

    def visit_TEXT(self, type_: Any, **kw: Any) -> str:  # SQLAlchemy's name
        return 'TEXT COLLATE "C"'

    def visit_INTEGER(self, type_: Any, **kw: Any) -> str:  # SQLAlchemy's name
        return "BIGINT"


class Postgres(PGDialect_psycopg):
    """PostgreSQL as our tables want it."""

    type_compiler_cls = _PostgresTypes
    supports_statement_cache = True


POSTGRES_NAME = "postgresql+headrace"
registry.register("postgresql.headrace", __name__, "Postgres")


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


def postgres_engine(arguments: dict[str, Any]) -> Engine:
    """Return an engine that opens connections with the driver's `arguments`, and keeps none."""
    return create_engine(f"{POSTGRES_NAME}://", connect_args=arguments, poolclass=NullPool)
