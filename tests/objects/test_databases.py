"""Blocks over DB-API connections, held to their contract on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from headrace.blocks.databases import CursorDatabase
from headrace.testing import DatabaseContract


class LiteDatabase(CursorDatabase):
    """A SQLite file."""

    file: str

    def open_connection(self) -> Any:
        return sqlite3.connect(self.file, check_same_thread=False)


class PostgresDatabase(CursorDatabase):
    """A PostgreSQL database."""

    url: SecretStr

    def open_connection(self) -> Any:
        import psycopg

        return psycopg.connect(self.url.get_secret_value())


class TestLite(DatabaseContract):
    @pytest.fixture
    def database(self, tmp_path: Path) -> CursorDatabase:
        return LiteDatabase(file=str(tmp_path / "things.db"))


@pytest.mark.services
class TestPostgres(DatabaseContract):
    insert = "INSERT INTO things (id, name) VALUES (%(id)s, %(name)s)"
    select_above = "SELECT id, name FROM things WHERE id > %(least)s ORDER BY id"

    @pytest.fixture
    def database(self, empty_postgres_url: str) -> CursorDatabase:
        return PostgresDatabase(url=SecretStr(empty_postgres_url.replace("+psycopg", "")))


@pytest.fixture
def things(tmp_path: Path) -> LiteDatabase:
    database = LiteDatabase(file=str(tmp_path / "things.db"))
    database.execute("CREATE TABLE things (id INTEGER)")
    return database


def ids(database: LiteDatabase) -> list[int]:
    """Return what others see."""
    with sqlite3.connect(database.file, timeout=0.1) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM things ORDER BY id")]


RETURNING = "INSERT INTO things VALUES (1), (2), (3) RETURNING id"


def test_what_a_fetch_changes_is_committed_when_it_is_read_to_the_end(things: LiteDatabase) -> None:
    assert things.fetch_many(RETURNING, size=2) == [(1,), (2,)]
    assert ids(things) == []
    assert things.fetch_many(RETURNING, size=2) == [(3,)]
    assert ids(things) == [1, 2, 3]


def test_what_a_fetch_changes_is_committed_when_results_are_let_go(things: LiteDatabase) -> None:
    things.fetch_one(RETURNING)
    things.reset_cursors()
    assert ids(things) == [1, 2, 3]
    things.fetch_one("DELETE FROM things WHERE id < 3 RETURNING id")
    things.close()
    assert ids(things) == [3]


def test_what_a_fetch_changes_is_undone_when_the_block_fails(things: LiteDatabase) -> None:
    def fail() -> None:
        with things:
            things.fetch_one(RETURNING)
            raise KeyError("the user's own")

    with pytest.raises(KeyError):
        fail()
    assert ids(things) == []


def test_many_rows_are_executed_as_one(things: LiteDatabase) -> None:
    with pytest.raises(sqlite3.ProgrammingError):
        things.execute_many("INSERT INTO things VALUES (:id)", [{"id": 1}, {"wrong": 2}])
    assert ids(things) == []


def test_a_changed_field_is_in_force_at_once(things: LiteDatabase, tmp_path: Path) -> None:
    things.execute("INSERT INTO things VALUES (1)")
    things.file = str(tmp_path / "other.db")
    things.execute("CREATE TABLE things (id INTEGER)")
    assert things.fetch_all("SELECT id FROM things") == []


def test_equal_numbers_of_other_types_are_other_parameters(things: LiteDatabase) -> None:
    asked = "SELECT typeof(:it)"
    assert [things.fetch_one(asked, {"it": value}) for value in (1, 1.0, True)] == [("integer",), ("real",), ("integer",)]
