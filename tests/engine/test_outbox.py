"""The outbox of a process, where threads outlive it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from headrace import flow, task
from headrace.client.orchestration import get_client
from headrace.client.spool import close_process_spool

pytestmark = pytest.mark.embedded

FILES = 50
"""So many that one of them gets the number of each descriptor that was closed."""


def test_runs_that_outlive_the_outbox_write_into_no_other_file(tmp_path: Path, home: Path) -> None:
    running, goes_on = Event(), Event()

    @task
    def wait() -> None:
        running.set()
        assert goes_on.wait(30)

    @flow
    def waits() -> None:
        wait()
        wait()

    thread = Thread(target=waits)
    thread.start()
    assert running.wait(30)
    close_process_spool()
    with ExitStack() as opened:
        files = [opened.enter_context((tmp_path / f"{number}").open("wb")) for number in range(FILES)]
        for file in files:
            os.write(file.fileno(), b"mine")
        goes_on.set()
        thread.join(30)
    assert {(tmp_path / f"{number}").read_bytes() for number in range(FILES)} == {b"mine"}
    client = get_client(sync_client=True)
    assert [run.state_name for run in client.read_flow_runs()] == ["Completed"]
    assert [run.state_name for run in client.read_task_runs()] == ["Completed", "Completed"]
