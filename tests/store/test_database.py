"""One file, many threads and processes, and everything that can be wrong with the file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Queue

import pytest

from headrace.model import clock, ids
from headrace.model.errors import StoreError
from headrace.store import migrations
from headrace.store.database import Database
from headrace.store.link import Link
from headrace.store.schema import HEAD

INSERT = "INSERT INTO flow (id, created, updated, name) VALUES (?, ?, ?, ?)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "h.db"


@pytest.fixture
def database(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


def add(database: Database, name: str) -> None:
    with database.write() as tx:
        tx.sql(INSERT, (ids.new().bytes, 1, 1, name))


def names(database: Database) -> list[str]:
    with database.read() as tx:
        return [name for (name,) in tx.sql("SELECT name FROM flow ORDER BY name")]


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process of its own."""
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], stderr=subprocess.PIPE, text=True)


def finish(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, complaint = process.communicate(timeout=120)
        assert process.returncode == 0, complaint


def test_file_and_folders_are_made_at_the_first_use(database: Database, path: Path) -> None:
    assert not path.parent.exists()
    add(database, "a")
    assert path.exists()
    assert names(Database(f"sqlite+aiosqlite:///{path}")) == ["a"]


def test_error_rolls_everything_back(database: Database) -> None:
    def fail() -> None:
        with database.write() as tx:
            tx.sql(INSERT, (ids.new().bytes, 1, 1, "a"))
            tx.sql(INSERT, (ids.new().bytes, 1, 1, "b"))
            raise KeyError("b")

    with pytest.raises(KeyError):
        fail()
    assert names(database) == []


def test_reader_sees_one_moment_while_others_write(database: Database) -> None:
    add(database, "a")
    with database.read() as tx:
        assert tx.sql_one("SELECT COUNT(*) FROM flow") == (1,)
        writer = threading.Thread(target=add, args=(database, "b"))
        writer.start()
        writer.join()
        assert tx.sql_one("SELECT COUNT(*) FROM flow") == (1,)
    assert names(database) == ["a", "b"]


def test_database_in_memory_is_shared_by_threads() -> None:
    database = Database("sqlite://")
    threads = [threading.Thread(target=add, args=(database, str(n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(database) == [str(n) for n in range(8)]


def test_many_threads_write_in_turn(database: Database) -> None:
    threads = [threading.Thread(target=lambda n=n: [add(database, f"{n}-{k}") for k in range(10)]) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(database)) == 160


WRITER = """
    import sys
    from headrace.model import ids
    from headrace.store.database import Database
    database = Database(sys.argv[1])
    for n in range(int(sys.argv[3])):
        with database.write() as tx:
            count = tx.sql_one("SELECT COUNT(*) FROM flow")[0]
            tx.sql("INSERT INTO flow (id, created, updated, name) VALUES (?, ?, 1, ?)", (ids.new().bytes, count, sys.argv[2] + str(n)))
    assert "sqlalchemy" not in sys.modules and "alembic" not in sys.modules
"""


def test_eight_processes_create_and_write_one_file(database: Database, path: Path) -> None:
    finish([python(WRITER, database.url, f"{n}-", 60) for n in range(8)])
    with database.read() as tx:
        counts = [count for (count,) in tx.sql("SELECT created FROM flow ORDER BY created")]
    assert counts == list(range(8 * 60))


def test_killed_process_loses_only_what_it_had_not_committed(database: Database) -> None:
    victim = subprocess.Popen([sys.executable, "-c", textwrap.dedent(VICTIM), database.url], stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "written\n"
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    assert names(database) == ["kept"]
    add(database, "after")
    with database.read() as tx:
        assert tx.sql_one("PRAGMA integrity_check") == ("ok",)


VICTIM = """
    import sys, time
    from headrace.store.database import Database
    database = Database(sys.argv[1])
    with database.write() as tx:
        tx.sql("INSERT INTO flow (id, created, updated, name) VALUES (x'01', 1, 1, 'kept')")
    with database.write() as tx:
        tx.sql("INSERT INTO flow (id, created, updated, name) VALUES (x'02', 1, 1, 'lost')")
        print("written", flush=True)
        time.sleep(60)
"""


def test_forked_child_opens_connections_of_its_own(database: Database) -> None:
    finish([python(FORK, database.url)])
    assert names(database) == ["child", "parent"]


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
    with database.write() as tx:
        child = os.fork()  # the lock and the transaction are the parent's
        if child == 0:
            os._exit(0)
    os.waitpid(child, 0)
    child = os.fork()
    if child == 0:
        add("child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    add("parent")
"""


# --- what can be wrong -----------------------------------------------------------------------------------------------------


def complaint(database: Database) -> str:
    with pytest.raises(StoreError) as caught:
        add(database, "x")
    return str(caught.value)


def test_newer_schema_is_refused_and_left_alone(database: Database, path: Path) -> None:
    add(database, "a")
    database.close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    told = complaint(Database(database.url))
    assert "newer headrace" in told
    assert "'9999'" in told
    assert str(path) in told


def test_older_schema_is_migrated_by_whoever_comes_first(database: Database, path: Path) -> None:
    path.parent.mkdir(parents=True)
    link = Link(sqlite3.connect(path, isolation_level=None))
    migrations.run(link, "upgrade", "head")
    migrations.run(link, "downgrade", "base")
    link.close()
    finish([python(WRITER.replace("assert", "0 and"), database.url, f"{n}-", 3) for n in range(3)])
    assert len(names(database)) == 9
    with database.read() as tx:
        assert tx.sql("SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_file_that_is_no_database_is_told(database: Database, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"This is not a database, but it is long enough to be taken for one." * 20)
    assert "is not a database" in complaint(database)


def test_damaged_database_is_told(database: Database, path: Path) -> None:
    for n in range(300):
        add(database, f"{n:0200}")
    database.close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        names(Database(database.url))


def test_database_of_another_program_is_refused(database: Database, path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE photos (id INTEGER)")
    assert "belongs to another program: it has a table 'photos'" in complaint(database)


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = complaint(Database(f"sqlite:///{tmp_path}/file/h.db"))
    assert "cannot be made" in told
    assert "HEADRACE_HOME" in told


def test_a_path_that_cannot_be_a_file_is_told(path: Path, database: Database) -> None:
    path.mkdir(parents=True)
    assert "cannot be opened" in complaint(database)


def test_full_disk_is_told_and_nothing_is_half_written(database: Database) -> None:
    add(database, "a")
    with database.write() as tx:
        tx.sql("PRAGMA max_page_count = 1")  # SQLite answers as on a full disk
        pages = tx.sql_one("PRAGMA page_count")
    with pytest.raises(StoreError, match=r"disk .* is full"), database.write() as tx:
        tx.sql_many(INSERT, [(ids.new().bytes, 1, 1, f"{n:02000}") for n in range(100)])
    assert pages is not None
    assert names(database) == ["a"]


def test_unknown_kind_of_database_is_told_without_its_password() -> None:
    with pytest.raises(StoreError, match="sqlite:///path") as caught:
        Database("mysql://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_write_to_a_readonly_file_is_told(database: Database) -> None:
    add(database, "a")
    with database.write() as tx:
        tx.sql("PRAGMA query_only = ON")  # SQLite answers as for a file without write access
    told = complaint(database)
    assert "may not be written" in told
    assert "HEADRACE_HOME" in told


class Hurried(clock.SystemClock):
    """A clock on which waiting takes no time."""

    passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += 1


def test_lock_that_is_never_let_go_is_told(database: Database, path: Path) -> None:
    add(database, "a")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with clock.use(Hurried()):
        assert "keeps the database" in complaint(database)
    assert names(database) == ["a"]
    holder.execute("ROLLBACK")
    add(database, "b")


# --- hearing of others --------------------------------------------------------------------------------------------------------


def test_commit_of_another_process_is_heard(database: Database) -> None:
    add(database, "a")
    heard: Queue[object] = Queue()
    end = database.listen(heard.put)
    finish([python(WRITER, database.url, "other-", 1)])
    assert heard.get(timeout=10) is None
    end()


def test_database_in_memory_has_nobody_to_hear_of() -> None:
    database, heard, before = Database("sqlite://"), list[object](), threading.active_count()
    end = database.listen(heard.append)
    add(database, "a")
    assert threading.active_count() == before
    end()
    assert (names(database), heard) == (["a"], [])
