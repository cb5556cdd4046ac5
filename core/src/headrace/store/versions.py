"""Changing the version of a database's schema by hand: up, down, stamped, made anew. What a first use does by itself is not here."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

from headrace.store import migrations
from headrace.store.address import is_postgres
from headrace.store.database import Database
from headrace.store.migrations import Step
from headrace.store.schema import BASE, POSTGRES_SCRIPT, creation_script, refuse_unknown

if TYPE_CHECKING:
    from headrace.store.postgresql import PostgresDatabase


def current(database: Database) -> str | None:
    """Return the version of the schema: a revision, "base" when every table was taken away again, None when there never was one.

    Raises `StoreError` when the database cannot be reached.
    """
    if is_postgres(database.url):
        return _current_on_postgres(_postgres(database))
    from headrace.store import opening

    with closing(database.connect()) as link:
        return opening.version(link.raw)


def move(database: Database, step: Step, revision: str) -> None:
    """Run the migrations up or down to `revision` ("head", "base", "-1", …); "stamp" writes it down and changes nothing else.

    Other processes that do the same are waited for. All or nothing is done. Raises `StoreError`, also for a schema newer than this headrace.
    """
    if step != "stamp":
        refuse_unknown(current(database) or BASE, f"The database {_postgres(database).options.place if is_postgres(database.url) else database.path}")
    if is_postgres(database.url):
        from headrace.store.postgres_opening import changing

        with changing(_postgres(database)) as connection:
            migrations.run_on(connection, step, revision)
        return
    with migrations.only_process(database.path), closing(database.connect()) as link:
        migrations.run(link, step, revision)


def plan(database: Database, step: Step, revision: str) -> str:
    """Return the SQL that `move` would run."""
    dialect = "postgresql" if is_postgres(database.url) else "sqlite"
    return migrations.script(dialect, step, current(database) or BASE, revision)


def reset(database: Database) -> None:
    """Take every table of headrace away with all that is in it, and make the newest schema, in one transaction."""
    from headrace.store.tables import load_all

    names = ["alembic_version", *(table.name for table in reversed(load_all().sorted_tables))]
    dropping = [f'DROP TABLE IF EXISTS "{name}"' for name in names]
    if is_postgres(database.url):
        from headrace.store.postgres_opening import changing

        with changing(_postgres(database)) as connection:
            for statement in (*dropping, *creation_script(POSTGRES_SCRIPT)):
                connection.exec_driver_sql(statement)
        return
    with migrations.only_process(database.path), closing(database.connect()) as link:
        link.raw.execute("PRAGMA foreign_keys=OFF")
        link.raw.execute("BEGIN IMMEDIATE")
        for statement in (*dropping, *creation_script()):
            link.raw.execute(statement)
        link.raw.execute("COMMIT")


def draft(message: str, *, autogenerate: bool = False) -> str:
    """Write the file of a new revision that follows the newest, and return its path. For those who develop headrace: it lies in the package.

    `autogenerate` puts in it what the tables have and the newest revision has not.
    """
    return migrations.draft(message, autogenerate)


def _current_on_postgres(database: PostgresDatabase) -> str | None:
    import psycopg

    from headrace.store import postgres_failures, postgres_opening

    try:
        with database.connect() as raw:
            return postgres_opening.version(raw)
    except psycopg.Error as error:
        postgres_failures.reraise(error, database.options.place)
        raise


def _postgres(database: Database) -> PostgresDatabase:
    return cast("PostgresDatabase", database)
