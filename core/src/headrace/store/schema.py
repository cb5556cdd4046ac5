"""The versions of the schema, and the making of a fresh one: from text, without SQLAlchemy and Alembic, whose import takes far longer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

REVISIONS = ("0001",)
"""Every revision of `migrations`, in order. A database without tables is at `BASE`."""

BASE = "base"
HEAD = REVISIONS[-1]

SCRIPT = Path(__file__).with_name("schema.sql")
"""The newest schema for SQLite, printed from the tables by tests/store/test_schema.py."""


@cache
def creation_script() -> tuple[str, ...]:
    """Return the statements that make the whole schema, with its version stamp."""
    statements = [statement.strip() for statement in SCRIPT.read_text(encoding="utf-8").split(";\n")]
    return (*(statement for statement in statements if statement), *stamp())


def stamp() -> tuple[str, ...]:
    """Return the statements that say which version this is, to headrace and to Alembic."""
    return (
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)",
        f"INSERT INTO alembic_version VALUES ('{HEAD}')",
    )


def printed() -> str:
    """Print the newest schema from the tables, as `SCRIPT` holds it."""
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from headrace.store.tables import load_all

    dialect = sqlite.dialect()
    lines: list[str] = []
    for table in sorted(load_all().sorted_tables, key=lambda table: table.name):
        lines.append(str(CreateTable(table).compile(dialect=dialect)).strip().replace("\t", "    ").replace(" \n", "\n"))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        lines += [str(CreateIndex(index).compile(dialect=dialect)) for index in indexes]
    return ";\n".join(lines) + ";\n"
