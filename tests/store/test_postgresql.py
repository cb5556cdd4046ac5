"""What is particular to PostgreSQL: opening, versions of the schema, lost connections, locks, the pool, notices to other servers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Any

import psycopg
import pytest

from headrace.model import ids
from headrace.model.errors import StoreConflict, StoreError, StoreUnavailable
from headrace.settings import HEADRACE_SERVER_DATABASE_MIGRATE_ON_START, temporary_settings
from headrace.store import versions
from headrace.store.database import Database
from headrace.store.schema import HEAD

pytestmark = pytest.mark.services

INSERT = "INSERT INTO flow (id, created, updated, name) VALUES (?, ?, ?, ?)"


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    made = Database(postgres_url)
    yield made
    made.close()


def add(database: Database, name: str) -> None:
    with database.write() as tx:
        tx.sql(INSERT, (ids.new().bytes, 1, 1, name))


def names(database: Database) -> list[str]:
    with database.read() as tx:
        return [name for (name,) in tx.sql("SELECT name FROM flow ORDER BY name")]


def shape(url: str) -> set[tuple[Any, ...]]:
    """Return every column, index and constraint of a database."""
    with psycopg.connect(url) as raw:
        columns = raw.execute(
            """SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name <> 'alembic_version'"""
        ).fetchall()
        indexes = raw.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'").fetchall()
        constraints = raw.execute(
            """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass"""
        ).fetchall()
    return {*columns, *indexes, *constraints}


# --- the schema ---------------------------------------------------------------------------------------------------------


def test_migrations_lead_to_the_same_schema_and_back(postgres_url: str, empty_postgres_url: str) -> None:
    database = Database(empty_postgres_url)
    assert versions.current(database) is None
    versions.move(database, "upgrade", "head")
    assert versions.current(database) == HEAD
    assert shape(empty_postgres_url) == shape(postgres_url)
    versions.move(database, "downgrade", "base")
    assert versions.current(database) == "base"
    assert shape(empty_postgres_url) == set()
    add(database, "migrated at the first use")
    assert names(database) == ["migrated at the first use"]
    assert shape(empty_postgres_url) == shape(postgres_url)
    database.close()


def test_first_starts_of_many_servers_make_the_schema_once(empty_postgres_url: str) -> None:
    # A machine under load may take longer to connect than the 5 seconds that are usual.
    starts = [Database(f"{empty_postgres_url}?timeout=60") for _ in range(6)]
    together = threading.Barrier(6, timeout=60)

    def start(number: int) -> None:
        together.wait()
        add(starts[number], str(number))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(start, range(6)))
    assert names(starts[0]) == [str(n) for n in range(6)]
    for one in starts:
        one.close()


def test_newer_schema_is_refused_and_left_alone(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"newer headrace: its schema is '9999'"):
        add(Database(postgres_url), "x")
    with psycopg.connect(postgres_url) as raw:
        assert raw.execute("SELECT COUNT(*) FROM flow").fetchone() == (0,)


def test_older_schema_is_left_alone_when_starts_do_not_migrate(empty_postgres_url: str) -> None:
    versions.move(Database(empty_postgres_url), "stamp", "base")
    with temporary_settings({HEADRACE_SERVER_DATABASE_MIGRATE_ON_START: False}), pytest.raises(StoreError, match="headrace server database upgrade"):
        add(Database(empty_postgres_url), "x")
    assert shape(empty_postgres_url) == set()


# --- values -------------------------------------------------------------------------------------------------------------


def test_values_come_back_in_storage_form(database: Database) -> None:
    id = ids.new().bytes
    labels = '{"z":1,"a":[true,null,1.50],"é":"\\u0000"}'
    with database.write() as tx:
        tx.sql("INSERT INTO flow (id, created, updated, name, labels) VALUES (?, ?, ?, ?, ?)", (id, 2**60, -1, "100% 'a' ?", labels))
    with database.read() as tx:
        assert tx.sql_one("SELECT id, created, updated, name, tags, labels FROM flow WHERE id = ?", (id,)) == (
            id, 2**60, -1, "100% 'a' ?", None, labels,
        )  # fmt: skip
        assert tx.sql_one("SELECT SUM(created), AVG(updated), COUNT(*) FROM flow WHERE name LIKE '100%' AND name IS NOT ?", (None,)) == (
            2**60, -1, 1,
        )  # fmt: skip


def test_text_sorts_by_its_characters_numbers(database: Database) -> None:
    for name in ("b", "a", "B", "ä", "_", "A"):
        add(database, name)
    assert names(database) == ["A", "B", "_", "a", "b", "ä"]


def test_texts_are_texts_whatever_the_encoding_of_the_database(postgres_admin: Any, postgres_server: str) -> None:
    name = f"ascii_{ids.random_hex()}"
    postgres_admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'".encode())
    made = Database(f"{postgres_server}/{name}")
    add(made, "größe")
    assert names(made) == ["größe"]
    made.close()


def test_nul_in_a_text_is_replaced(database: Database) -> None:
    add(database, "a\0b")
    assert names(database) == ["a\ufffdb"]


def test_broken_key_is_a_conflict(database: Database) -> None:
    add(database, "a")
    with pytest.raises(StoreConflict):
        add(database, "a")
    assert names(database) == ["a"]


# --- transactions ---------------------------------------------------------------------------------------------------------


def test_error_rolls_everything_back(database: Database) -> None:
    def fail() -> None:
        with database.write() as tx:
            tx.sql(INSERT, (ids.new().bytes, 1, 1, "a"))
            raise KeyError("b")

    with pytest.raises(KeyError):
        fail()
    assert names(database) == []


def test_reader_sees_one_moment_while_others_write(database: Database) -> None:
    add(database, "a")
    with database.read() as tx:
        assert tx.sql_one("SELECT COUNT(*) FROM flow") == (1,)
        add(database, "b")
        assert tx.sql_one("SELECT COUNT(*) FROM flow") == (1,)
    assert names(database) == ["a", "b"]


def test_locked_rows_wait_for_each_other(database: Database) -> None:
    add(database, "0")
    [(id,)] = _ids(database)

    def count_up() -> None:
        for _ in range(20):
            with database.write() as tx:
                tx.lock("flow", "id", [id])
                row = tx.sql_one("SELECT name FROM flow WHERE id = ?", (id,))
                assert row is not None
                tx.sql("UPDATE flow SET name = ? WHERE id = ?", (str(int(row[0]) + 1), id))

    threads = [threading.Thread(target=count_up) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(database) == ["100"]


def test_deadlock_is_undone_by_doing_the_work_again(database: Database) -> None:
    add(database, "a")
    add(database, "b")
    first, second = (id for (id,) in _ids(database))
    both = threading.Barrier(2)
    tries: list[int] = []

    def swap(one: bytes, other: bytes) -> None:
        meet = iter([both.wait])

        def work(tx: Any) -> None:
            tries.append(1)
            tx.sql_count("UPDATE flow SET updated = updated + 1 WHERE id = ?", (one,))
            for wait in meet:
                wait()
            tx.sql_count("UPDATE flow SET updated = updated + 1 WHERE id = ?", (other,))

        database.transact(work)

    threads = [threading.Thread(target=swap, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) >= 3  # one of them started over, more than once where it was quicker than the other again
    with database.read() as tx:
        assert tx.sql("SELECT updated FROM flow") == [(3,), (3,)]


def _ids(database: Database) -> list[tuple[Any, ...]]:
    with database.read() as tx:
        return tx.sql("SELECT id FROM flow ORDER BY name")


# --- connections ------------------------------------------------------------------------------------------------------------


def test_connections_that_the_server_ended_are_replaced(database: Database, postgres_admin: Any) -> None:
    add(database, "a")
    name = database.url.rpartition("/")[2]
    postgres_admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    add(database, "b")
    assert names(database) == ["a", "b"]


def test_connection_lost_in_a_transaction_is_told(database: Database, postgres_admin: Any) -> None:
    def lose() -> None:
        with database.write() as tx:
            tx.sql_count(INSERT, (ids.new().bytes, 1, 1, "lost"))
            postgres_admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database.url.rpartition("/")[2],))
            tx.sql("SELECT 1")

    with pytest.raises(StoreUnavailable, match=r"does not answer"):
        lose()
    assert names(database) == []


def test_server_that_is_not_there_is_told_without_the_password() -> None:
    with pytest.raises(StoreUnavailable, match=r"'db' at 127.0.0.1:1 does not answer") as caught:
        add(Database("postgresql+asyncpg://me:secret@127.0.0.1:1/db"), "x")
    assert "secret" not in str(caught.value)


def test_missing_database_is_told(postgres_server: str) -> None:
    with pytest.raises(StoreError, match=r"'nothing' at 127.0.0.1:\d+ cannot be used: .*does not exist"):
        add(Database(f"{postgres_server}/nothing"), "x")


def test_unknown_option_in_the_address_is_told(postgres_url: str) -> None:
    with pytest.raises(StoreError, match="refuses the address.*colour"):
        add(Database(f"{postgres_url}?colour=blue"), "x")


def test_options_of_the_address_and_the_settings_reach_the_server(postgres_url: str) -> None:
    with temporary_settings({"HEADRACE_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_APPLICATION_NAME": "my server"}):
        database = Database(postgres_url.replace("postgresql://", "postgresql+asyncpg://") + "?command_timeout=3&ssl=disable&statement_cache_size=0")
        with database.read() as tx:
            shown = [tx.sql_one(f"SHOW {name}") for name in ("application_name", "statement_timeout")]
            for _ in range(5):
                tx.sql("SELECT 1")
            assert tx.sql_one("SELECT COUNT(*) FROM pg_prepared_statements") == (0,)
    assert shown == [("my server",), ("3s",)]
    database.close()


def test_statement_that_takes_too_long_is_ended(postgres_url: str) -> None:
    database = Database(f"{postgres_url}?command_timeout=0.05")
    with pytest.raises(StoreUnavailable, match="HEADRACE_SERVER_DATABASE_TIMEOUT"), database.read() as tx:
        tx.sql("SELECT pg_sleep(5)")
    database.close()


def test_pool_that_stays_full_is_told(postgres_url: str) -> None:
    with temporary_settings(
        {
            "HEADRACE_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": 1,
            "HEADRACE_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW": 1,
            "HEADRACE_SERVER_DATABASE_SQLALCHEMY_POOL_TIMEOUT": 0.05,
        }
    ):
        database = Database(postgres_url)
        with database.read(), database.read():
            with pytest.raises(StoreUnavailable, match="All 2 connections"), database.read():
                pass
        add(database, "free again")
    database.close()


def test_database_that_was_closed_is_opened_again(database: Database) -> None:
    add(database, "a")
    with database.read() as tx:
        database.close()  # what is in use is closed when it comes back
        assert tx.sql_one("SELECT COUNT(*) FROM flow") == (1,)
    add(database, "b")
    assert names(database) == ["a", "b"]


def test_forked_child_opens_connections_of_its_own(postgres_url: str) -> None:
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(FORK), postgres_url], capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
    assert names(Database(postgres_url)) == ["child", "parent"]


FORK = """
    import os, sys
    from headrace.model import ids
    from headrace.store.database import Database
    database = Database(sys.argv[1])
    def add(name):
        with database.write() as tx:
            tx.sql("INSERT INTO flow (id, created, updated, name) VALUES (?, 1, 1, ?)", (ids.new().bytes, name))
    with database.read() as tx:
        tx.sql("SELECT 1")
    child = os.fork()
    if child == 0:
        add("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    add("parent")
"""


# --- telling other servers ------------------------------------------------------------------------------------------------------


class Message:
    def __init__(self) -> None:
        self.id = ids.new()


def publish(database: Database, topic: str, messages: list[Any]) -> None:
    with database.write() as tx:
        tx.publish(topic, messages)


def test_other_servers_hear_what_was_published(database: Database, postgres_url: str) -> None:
    elsewhere = Database(postgres_url)  # stands for another process: its token is another
    heard: Queue[Any] = Queue()
    own: Queue[Any] = Queue()
    ends = [elsewhere.listen(heard.put), database.listen(own.put)]
    messages = [Message() for _ in range(500)]
    publish(database, "events", messages)
    publish(database, "task_runs", ["a", "b", "a"])
    publish(elsewhere, "last", ["x"])
    got: list[str] = []
    while len(got) < 500:
        topic, some = heard.get(timeout=10)
        assert topic == "events"
        got += some
    assert got == [str(message.id) for message in messages]
    assert heard.get(timeout=10) == ("task_runs", ["a", "b"])
    assert own.get(timeout=10) == ("last", ["x"])
    for end in ends:
        end()
    assert heard.empty()


def test_what_is_rolled_back_is_told_to_nobody(database: Database, postgres_url: str) -> None:
    elsewhere = Database(postgres_url)
    heard: Queue[Any] = Queue()
    end = elsewhere.listen(heard.put)

    def fail() -> None:
        with database.write() as tx:
            tx.publish("events", ["lost"])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    publish(database, "events", ["kept"])
    assert heard.get(timeout=10) == ("events", ["kept"])
    end()


def test_listener_says_when_it_may_have_missed_something(database: Database, postgres_url: str, postgres_admin: Any) -> None:
    elsewhere = Database(postgres_url)
    heard: Queue[Any] = Queue()
    end = elsewhere.listen(heard.put)
    postgres_admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN headrace'")
    assert heard.get(timeout=10) is None
    publish(database, "events", ["x" * 10_000, "short"])
    assert heard.get(timeout=10) is None  # too long for a notice: look for yourself
    assert heard.get(timeout=10) == ("events", ["short"])
    end()


def test_a_number_that_no_column_holds_is_refused_as_by_sqlite(database: Database) -> None:
    with pytest.raises(OverflowError, match="out of range"), database.write() as tx:
        tx.sql(INSERT, (ids.new().bytes, 2**90, 1, "a"))
    assert names(database) == []


def test_a_password_that_is_a_function_is_asked_for_each_connection(postgres_url: str) -> None:
    made: list[int] = []

    def token() -> str:
        made.append(len(made))
        return f"token-{len(made)}"

    database = Database(postgres_url, {"password": token})
    with database.read(), database.read():  # two connections at once
        assert len(made) >= 2
    database.close()
