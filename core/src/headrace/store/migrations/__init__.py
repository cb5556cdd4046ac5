"""The Alembic line: from any older schema to the newest, and back.

A fresh database never comes here: `schema.sql` makes it. Alembic is imported only when there is something to migrate.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from headrace.model.errors import StoreError
from headrace.store.link import Link

LOCK_SUFFIX = ".migration-lock"


def upgrade(link: Link, path: Path | None) -> None:
    """Bring the schema to the newest version. Another process that does the same is waited for; then nothing is left to do."""
    with _only_process(path):
        run(link, "upgrade", "head")


def run(link: Link, direction: str, revision: str) -> None:
    """Run the line up or down to `revision`, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = link.as_core()
    link.raw.execute("PRAGMA foreign_keys=OFF")
    link.raw.execute("BEGIN IMMEDIATE")
    try:
        (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)
        link.end("COMMIT")
    except BaseException:
        link.end("ROLLBACK")
        raise
    finally:
        link.raw.execute("PRAGMA foreign_keys=ON")


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
