"""From a file to a database that can be used: journal mode, a fresh schema, or the migration of an older one."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from headrace.model import clock
from headrace.model.errors import StoreError
from headrace.store import failures
from headrace.store.link import Link
from headrace.store.schema import BASE, HEAD, REVISIONS, creation_script

WAL_TRIES_MAX = 200


def prepare(link: Link, path: Path | None) -> None:
    """Make sure that the schema is there and is the newest. Raises `StoreError` for a newer or unusable one."""
    raw = link.raw
    if path is not None:
        _use_wal(raw)
    found = _version(raw) or _create(raw, path)
    if found == HEAD:
        return
    if found != BASE and found not in REVISIONS:
        raise StoreError(
            f"The database {path} was last used by a newer headrace: its schema is {found!r}, and this one knows those up to {HEAD!r}. "
            "Upgrade headrace (pip install -U headrace), or set HEADRACE_HOME to another folder."
        )
    from headrace.store import migrations

    migrations.upgrade(link, path)


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


def _version(raw: sqlite3.Connection) -> str | None:
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
