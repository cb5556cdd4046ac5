"""From a file to a database that can be used: journal mode, a fresh schema, or the migration of an older one."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from headrace.model import clock
from headrace.store import failures
from headrace.store.link import Link
from headrace.store.schema import BASE, HEAD, creation_script, refuse_unknown

WAL_TRIES_MAX = 200


def prepare(link: Link, path: Path | None) -> None:
    """Make sure that the schema is there and is the newest. Raises `StoreError` for a newer or unusable one."""
    raw = link.raw
    if path is not None:
        _use_wal(raw)
    found = version(raw) or _create(raw, path)
    if found == HEAD:
        return
    refuse_unknown(found, f"The database {path}", migrates=_migrates())
    from headrace.store import migrations

    migrations.upgrade(link, path)


def _migrates() -> bool:
    """Read the setting, which matters to an older schema only."""
    from headrace.settings import get_current_settings

    return get_current_settings().server.database.migrate_on_start


def _use_wal(raw: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, which the file remembers. SQLite does not wait for others here, so we do."""
    for attempt in range(WAL_TRIES_MAX):
        try:
            if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                raw.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not failures.is_busy(error) or attempt == WAL_TRIES_MAX - 1:
                raise
            clock.sleep(0.005 + 0.02 * random.random())


def version(raw: sqlite3.Connection) -> str | None:
    """Return the version of the schema, `BASE` when there was one and was taken back, None when there never was one."""
    try:
        row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return row[0] if row else BASE


def _create(raw: sqlite3.Connection, path: Path | None) -> str:
    """Make the schema, unless another process makes it first. One transaction: a death in the middle leaves an empty file."""
    script = creation_script()
    raw.execute("BEGIN IMMEDIATE")
    try:
        found = version(raw)
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
