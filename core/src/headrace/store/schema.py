"""The version of the schema, and the making of a fresh one without Alembic, whose import costs more than the making."""

from __future__ import annotations

from functools import cache

HEAD = "0001"
"""The newest revision of `migrations`. A fresh database is stamped with it."""


@cache
def creation_script() -> tuple[str, ...]:
    """Return the SQLite statements that make the whole schema, with its version stamp."""
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from headrace.store.tables import load_all

    dialect = sqlite.dialect()
    statements: list[str] = []
    for table in load_all().sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=lambda index: str(index.name))]
    statements.append("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)")
    statements.append(f"INSERT INTO alembic_version VALUES ('{HEAD}')")
    return tuple(statements)
