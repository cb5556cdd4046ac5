"""The Alembic line: from any older schema to the newest, and back, on both kinds of database.

A fresh database never comes here: a printed script makes it. Alembic is imported only when there is something to migrate.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headrace.model.errors import StoreError
from headrace.store.link import Link

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

LOCK_SUFFIX = ".migration-lock"

Step = Literal["upgrade", "downgrade", "stamp"]


def upgrade(link: Link, path: Path | None) -> None:
    """Bring the schema of a file to the newest version. Another process that does the same is waited for; then nothing is left to do."""
    with only_process(path):
        run(link, "upgrade", "head")


def run(link: Link, step: Step, revision: str) -> None:
    """Run the line on a file, up or down to `revision`, in one transaction; "stamp" writes the version alone."""
    link.raw.execute("PRAGMA foreign_keys=OFF")
    link.raw.execute("BEGIN IMMEDIATE")
    try:
        run_on(link.as_core(), step, revision)
        link.end("COMMIT")
    except BaseException:
        link.end("ROLLBACK")
        raise
    finally:
        link.raw.execute("PRAGMA foreign_keys=ON")


def run_on(connection: Connection, step: Step, revision: str) -> None:
    """Run the line in the transaction of `connection`. Raises `StoreError` for a revision that there is none of."""
    config = _config()
    config.attributes["connection"] = connection
    _command(step, config, revision)


def script(dialect: Literal["sqlite", "postgresql"], step: Step, start: str, revision: str) -> str:
    """Return the SQL that the line would run from version `start` to `revision`; nothing is run."""
    from headrace.store.dialect import POSTGRES_NAME

    config = _config()
    config.output_buffer = StringIO()
    config.attributes["dialect"] = POSTGRES_NAME if dialect == "postgresql" else dialect
    _command(step, config, f"{start}:{revision}" if step != "stamp" else revision, sql=True)
    return config.output_buffer.getvalue()


def draft(message: str, autogenerate: bool) -> str:
    """Write the file of the revision that follows the newest and return its path. What it is to hold is found on a database in memory."""
    import sqlite3

    from alembic import command

    from headrace.store.schema import REVISIONS

    link = Link(sqlite3.connect(":memory:", isolation_level=None))
    run(link, "upgrade", "head")
    config = _config()
    config.stdout = StringIO()  # Alembic tells what it does; the answer is the path
    config.attributes["connection"] = link.as_core()
    made = command.revision(config, message, autogenerate=autogenerate, rev_id=f"{len(REVISIONS) + 1:04}")
    link.close()
    assert made is not None and not isinstance(made, list)
    return made.path


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def _command(step: Step, config: Config, revision: str, sql: bool = False) -> None:
    from alembic import command
    from alembic.util import CommandError

    try:
        if step == "stamp":
            command.stamp(config, revision, sql=sql, purge=not sql)  # whatever stands there now, known or not
        else:
            getattr(command, step)(config, revision, sql=sql)
    except CommandError as error:
        from headrace.store.schema import REVISIONS

        raise StoreError(
            f"The schema cannot go to the revision {revision!r}: {str(error).rstrip('.')}. There are: base, {', '.join(REVISIONS)}."
        ) from error


@contextmanager
def only_process(path: Path | None) -> Generator[None, None, None]:
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
