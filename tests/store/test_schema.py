"""The tables, the script that makes a fresh database, and the Alembic line say the same.

After a change of the tables: UPDATE_SCHEMA=1 pytest tests/store/test_schema.py prints the script anew. Until the first release it prints the
first revision too; after it, a change of the tables gets a revision of its own.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

import pytest

from headrace.store import migrations
from headrace.store.link import Link
from headrace.store.schema import HEAD, POSTGRES_SCRIPT, REVISIONS, SCRIPT, creation_script, printed
from headrace.store.tables import load_all

FIRST = Path(migrations.__file__).parent / "versions/0001_first_schema.py"
HEADER = '''"""The first schema. Printed from the tables by tests/store/test_schema.py."""

# fmt: off

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from headrace.store import types

revision = "0001"
down_revision = None
'''
FOOTER = '''def upgrade() -> None:
    """Make every table."""
    for make in TABLES.values():
        make()


def downgrade() -> None:
    """Drop every table, with its indexes."""
    for table in reversed(TABLES):
        op.drop_table(table)
'''


def first_revision() -> str:
    """Print the first revision from the tables: a function for each, those that others refer to first. Indexes go with their table."""
    from alembic.autogenerate import render_python_code
    from alembic.migration import MigrationContext
    from alembic.operations import ops
    from sqlalchemy import create_engine

    tables = load_all().sorted_tables
    functions: list[str] = []
    with create_engine("sqlite://").connect() as connection:
        context = MigrationContext.configure(connection)
        for table in tables:
            indexes = sorted(table.indexes, key=lambda index: str(index.name))
            made = ops.UpgradeOps([ops.CreateTableOp.from_table(table), *map(ops.CreateIndexOp.from_index, indexes)])
            code = _code(render_python_code(made, migration_context=context, user_module_prefix="types."))
            functions.append(f"def _{table.name}() -> None:\n{code}\n")
    listed = ", ".join(f'"{table.name}": _{table.name}' for table in tables)
    return "\n\n".join([HEADER, *functions, f"TABLES = {{{listed}}}\n", FOOTER])


def _code(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return "\n".join(line if line.startswith("    ") else f"    {line}" for line in lines if line.strip())


def shape(raw: sqlite3.Connection) -> dict[str, list[str]]:
    """Return every table and index with the parts of the statement that makes it, spelled and ordered one way."""
    found = raw.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
    return {name: sorted(re.findall(r"[^\s\"(),]+", sql)) for name, sql in found}


@pytest.fixture
def fresh() -> sqlite3.Connection:
    """A database made by the script."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    for statement in creation_script():
        raw.execute(statement)
    return raw


def test_script_is_printed_from_the_tables() -> None:
    if os.environ.get("UPDATE_SCHEMA"):
        SCRIPT.write_text(printed(), encoding="utf-8")
        POSTGRES_SCRIPT.write_text(printed(POSTGRES_SCRIPT), encoding="utf-8")
        creation_script.cache_clear()
        if len(REVISIONS) == 1:
            FIRST.write_text(first_revision(), encoding="utf-8")
    for script in (SCRIPT, POSTGRES_SCRIPT):
        assert script.read_text(encoding="utf-8") == printed(script), "Run: UPDATE_SCHEMA=1 pytest tests/store/test_schema.py"


def test_migrations_lead_to_the_same_schema_and_back(fresh: sqlite3.Connection) -> None:
    link = Link(sqlite3.connect(":memory:", isolation_level=None))
    raw = link.raw
    migrations.run(link, "upgrade", "head")
    assert shape(raw) == shape(fresh)
    assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    migrations.run(link, "downgrade", "base")
    assert shape(raw) == {}
    migrations.run(link, "upgrade", "head")
    assert shape(raw) == shape(fresh)


def test_statements_name_real_tables_and_columns(fresh: sqlite3.Connection) -> None:
    from headrace.store.statements import runs

    texts = [text for name, text in vars(runs).items() if name.isupper() and isinstance(text, str)]
    assert len(texts) > 15
    for text in texts:
        fresh.execute(f"EXPLAIN {text}", (None,) * text.count("?"))
