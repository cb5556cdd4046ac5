"""The Alembic line: from any older schema to the newest, and back.

A fresh database never comes here: `schema.sql` makes it. Alembic is imported only when there is something to migrate.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from headrace.model.errors import StoreError

LOCK_SUFFIX = ".migration-lock"


def upgrade(raw: sqlite3.Connection, path: Path | None) -> None:
    """Bring the schema to the newest version. Another process that does the same is waited for; then nothing is left to do."""
    with _only_process(path):
        run(raw, "upgrade", "head")


def run(raw: sqlite3.Connection, direction: str, revision: str) -> None:
    """Run the line up or down to `revision`, in one transaction."""
    from alembic import command
    from alembic.config import Config

    from headrace.store.dialect import wrap

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    raw.execute("PRAGMA foreign_keys=OFF")
    raw.execute("BEGIN IMMEDIATE")
    core = wrap(raw)
    config.attributes["connection"] = core
    try:
        (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)
        core.commit()
        if raw.in_transaction:
            raw.execute("COMMIT")
    except BaseException:
        core.rollback()
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


@contextmanager
def _only_process(path: Path | None) -> Generator[None, None, None]:
    """Hold the lock file beside the database. SQLite's own lock is not enough: the version is read before it is taken."""
    if path is None:
        yield
        return
    try:
        import fcntl
    except ImportError:  # Windows: SQLite's write lock alone, so the second process may have to start again
        yield
        return
    lock = path.with_name(path.name + LOCK_SUFFIX)
    try:
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise StoreError(
            f"The database {path} is of an older headrace and must be migrated, but {lock} cannot be made beside it. "
            "Give this user write access to the folder."
        ) from error
