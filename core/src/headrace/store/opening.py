"""From a file to a database that can be used: journal mode, a fresh schema, or the migration of an older one."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from headrace.model import clock
from headrace.store import failures
from headrace.store.schema import HEAD, creation_script

WAL_TRIES_MAX = 200


def prepare(raw: sqlite3.Connection, path: Path | None, url: str) -> None:
    """Make sure that the schema is there and is the newest. Raises `StoreError` for a newer or unusable one."""
    if path is not None:
        _use_wal(raw)
    found = _version(raw)
    if found is None:
        found = _create(raw, path)
    if found != HEAD:
        _migrate(raw, path, url, found)


def _use_wal(raw: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for others here, so we do."""
    for attempt in range(WAL_TRIES_MAX):
        try:
            raw.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not failures.is_busy(error) or attempt == WAL_TRIES_MAX - 1:
                raise
            clock.sleep(0.005 + 0.02 * random.random())


def _version(raw: sqlite3.Connection) -> str | None:
    try:
        row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return row[0] if row else None


def _create(raw: sqlite3.Connection, path: Path | None) -> str:
    """Make the schema, unless another process makes it first. One transaction: a death in the middle leaves an empty file."""
    script = creation_script()
    raw.execute("BEGIN IMMEDIATE")
    try:
        found = _version(raw)
        if found is None:
            failures.refuse_foreign_tables(raw, path)
            for statement in script:
                raw.execute(statement)
            found = HEAD
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    return found


def _migrate(raw: sqlite3.Connection, path: Path | None, url: str, found: str) -> None:
    from headrace.store import migrations

    migrations.bring_to_head(raw, path, url, found)
