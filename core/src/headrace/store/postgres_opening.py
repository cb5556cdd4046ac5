"""From an empty PostgreSQL database to one that can be used: a fresh schema, or the migration of an older one, by one process at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from headrace.store.schema import BASE, HEAD, POSTGRES_SCRIPT, creation_script, refuse_unknown

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from headrace.store.postgresql import PostgresDatabase

LOCK = 0x68656164
"""Whoever makes or changes the schema holds this advisory lock ("head") until the end of its transaction."""
_LOCKED = f"SELECT pg_advisory_xact_lock({LOCK})"


def prepare(raw: psycopg.Connection[Any], database: PostgresDatabase) -> None:
    """Make sure that the schema is there and is the newest. Raises `StoreError` for a newer or unusable one."""
    found = version(raw)
    if found is None and database.options.migrates:
        found = _create(raw)
    if found == HEAD:
        return
    refuse_unknown(found or BASE, f"The database {database.options.place}", migrates=database.options.migrates)
    from headrace.store import migrations

    with changing(database) as connection:
        migrations.run_on(connection, "upgrade", "head")


def version(raw: psycopg.Connection[Any]) -> str | None:
    """Return the version of the schema, `BASE` when there was one and was taken back, None when there never was one."""
    there = raw.execute(b"SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    if not there or not there[0]:
        return None
    row = raw.execute(b"SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else BASE


def _create(raw: psycopg.Connection[Any]) -> str:
    """Make the schema, unless another process makes it first. One transaction: a death in the middle leaves an empty database."""
    with raw.transaction():
        raw.execute(b"SET LOCAL statement_timeout = 0")
        raw.execute(_LOCKED.encode())
        found = version(raw)
        if found is None:
            for statement in creation_script(POSTGRES_SCRIPT):
                raw.execute(statement.encode())
            found = HEAD
    return found


@contextmanager
def changing(database: PostgresDatabase) -> Generator[Connection, None, None]:
    """Open a transaction in which alone the schema changes. Raises `StoreError` when the database cannot be reached."""
    from sqlalchemy.exc import DBAPIError

    from headrace.store import postgres_failures
    from headrace.store.dialect import postgres_engine

    options = database.options
    try:
        with postgres_engine(options.for_connection()).begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round((options.migration_timeout or 0) * 1000)}")
            connection.exec_driver_sql(_LOCKED)
            yield connection
    except DBAPIError as error:
        if error.orig is not None:
            postgres_failures.reraise(error.orig, options.place)
        raise
