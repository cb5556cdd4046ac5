"""A process may fork at any moment, also while another of its threads writes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from headrace.store.database import Database

FORKS = 40


def test_a_child_writes_though_it_was_forked_while_another_thread_wrote(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'forked.db'}")
    with database.write() as tx:
        tx.sql("CREATE TABLE note (text TEXT)")
    stop = threading.Event()

    def write_all_the_time() -> None:
        while not stop.is_set():
            with database.write() as tx:
                tx.sql("INSERT INTO note VALUES ('parent')")

    writers = [threading.Thread(target=write_all_the_time) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        statuses = [_write_in_a_child(database) for _ in range(FORKS)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()

    assert statuses == [0] * FORKS
    with database.read() as tx:
        assert list(tx.sql("SELECT count(*) FROM note WHERE text = 'child'")) == [(FORKS,)]


def _write_in_a_child(database: Database) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            threading.Timer(20, os._exit, (2,)).start()  # a child that waits for ever says so
            with database.write() as tx:
                tx.sql("INSERT INTO note VALUES ('child')")
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
