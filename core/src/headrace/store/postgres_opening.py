"""From an empty PostgreSQL database to one that can be used: a fresh schema, or the migration of an older one, by one server at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors

from headrace.store.schema import BASE, HEAD, POSTGRES_SCRIPT, creation_script, refuse_unknown

if TYPE_CHECKING:
    from headrace.store.postgresql import PostgresDatabase

LOCK = 0x68656164  # "head": whoever makes or changes the schema holds this advisory lock


def prepare(raw: psycopg.Connection[Any], database: PostgresDatabase) -> None:
    """Make sure that the schema is there and is the newest. Raises `StoreError` for a newer or unusable one."""
    found = version(raw)
    if found == HEAD:
        return
    if found is None:
        with only_process(raw):
            found = version(raw)
            if found is None:
                _create(raw)
                return
    refuse_unknown(found, f"The database {database.options.place}", migrates=database.options.migrates)
    if found != HEAD:
        from headrace.store import upkeep

        upkeep.upgrade(database)


def version(raw: psycopg.Connection[Any]) -> str | None:
    """Return the version of the schema, `BASE` when there was one and was taken back, None when there never was one."""
    try:
        row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    except errors.UndefinedTable:
        return None
    return row[0] if row else BASE


@contextmanager
def only_process(raw: psycopg.Connection[Any]) -> Generator[None, None, None]:
    """Wait until no other process makes or changes the schema, and keep them out while the block lasts."""
    raw.execute("SET statement_timeout = 0")
    raw.execute("SELECT pg_advisory_lock(%s)" % LOCK)  # noqa: UP031  # pyright: ignore[reportArgumentType,reportCallIssue]  # a number of ours
    try:
        yield
    finally:
        if not raw.closed:
            raw.execute("SELECT pg_advisory_unlock(%s)" % LOCK)  # noqa: UP031  # pyright: ignore[reportArgumentType,reportCallIssue]  # ours
            raw.execute("RESET statement_timeout")


def _create(raw: psycopg.Connection[Any]) -> None:
    """Make the whole schema in one transaction: a death in the middle leaves an empty database."""
    with raw.transaction():
        for statement in creation_script(POSTGRES_SCRIPT):
            raw.execute(statement.encode())
