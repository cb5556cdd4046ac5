"""Cancelling what a pool of processes has not begun."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace import task
from headrace.task_runners import ProcessPoolTaskRunner


@task
def first(begun: Path, gate: Path) -> str:
    begun.write_text("begun")
    return gate.read_text()


@task
def give(x: object) -> object:
    return x


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the child is held by a named pipe")
def test_cancel_all_records_what_no_process_has_taken(tmp_path: Path) -> None:
    begun, gate = tmp_path / "begun", tmp_path / "gate"
    os.mkfifo(begun)
    os.mkfifo(gate)
    with ProcessPoolTaskRunner(max_workers=1) as runner:
        running = runner.submit(first, {"begun": begun, "gate": gate})
        waiting = runner.submit(give, {"x": running})
        queued = [runner.submit(give, {"x": number}) for number in range(4)]
        assert begun.read_text() == "begun"
        runner.cancel_all()
        assert queued[-1].state.name == "Cancelled"
        late = runner.submit(give, {"x": "late"})
        gate.write_text("ended")
    assert running.result() == "ended"
    assert waiting.state.name == late.state.name == "Cancelled"
    taken = [future.state.name for future in queued].index("Cancelled")
    assert [future.state.name for future in queued] == ["Completed"] * taken + ["Cancelled"] * (4 - taken)
    assert taken <= 2
