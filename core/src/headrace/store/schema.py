"""The versions of the schema, and the making of a fresh one: from text, without SQLAlchemy and Alembic, whose import takes far longer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from headrace.model.errors import StoreError

REVISIONS = ("0001",)
"""Every revision of `migrations`, in order. A database without tables is at `BASE`."""

BASE = "base"
HEAD = REVISIONS[-1]

SCRIPT = Path(__file__).with_name("schema.sql")
"""The newest schema for SQLite, printed from the tables by tests/store/test_schema.py."""

POSTGRES_SCRIPT = Path(__file__).with_name("schema_postgresql.sql")
"""The same for PostgreSQL."""


@cache
def creation_script(script: Path = SCRIPT) -> tuple[str, ...]:
    """Return the statements that make the whole schema, with its version stamp."""
    statements = [statement.strip() for statement in script.read_text(encoding="utf-8").split(";\n")]
    return (*(statement for statement in statements if statement), *stamp())


def stamp() -> tuple[str, ...]:
    """Return the statements that say which version this is, to headrace and to Alembic."""
    return (
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)",
        f"INSERT INTO alembic_version VALUES ('{HEAD}')",
    )


def refuse_unknown(found: str, whose: str, *, migrates: bool = True) -> None:
    """Raise `StoreError` for a schema that is newer than this headrace, or that is older and may not be migrated now."""
    if found != BASE and found not in REVISIONS:
        raise StoreError(
            f"{whose} was last used by a newer headrace: its schema is {found!r}, and this one knows those up to {HEAD!r}. "
            "Upgrade headrace (pip install -U headrace), or name another database."
        )
    if found != HEAD and not migrates:
        raise StoreError(
            f"{whose} has the schema {found!r}, and this headrace needs {HEAD!r}; HEADRACE_SERVER_DATABASE_MIGRATE_ON_START is off, so nothing "
            "was changed. Run `headrace server database upgrade`."
        )


def printed(script: Path = SCRIPT) -> str:
    """Print the newest schema from the tables, as `script` holds it."""
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from headrace.store.dialect import Postgres
    from headrace.store.tables import load_all

    dialect = sqlite.dialect() if script == SCRIPT else Postgres()
    lines: list[str] = []
    tables = load_all().sorted_tables  # those that others refer to come first
    for table in sorted(tables, key=lambda table: table.name) if script == SCRIPT else tables:
        lines.append(str(CreateTable(table).compile(dialect=dialect)).strip().replace("\t", "    ").replace(" \n", "\n"))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        lines += [str(CreateIndex(index).compile(dialect=dialect)) for index in indexes]
    return ";\n".join(lines) + ";\n"
