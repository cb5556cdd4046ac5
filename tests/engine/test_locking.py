"""Lock managers: one contract for all, and what the file locks owe to processes that die."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from headrace.locking.filesystem import FileSystemLockManager
from headrace.locking.memory import MemoryLockManager
from headrace.locking.protocol import LockManager
from headrace.testing import LockContract


class TestMemoryLocks(LockContract):
    @pytest.fixture
    def locks(self) -> LockManager:
        return MemoryLockManager()


class TestFileLocks(LockContract):
    @pytest.fixture
    def locks(self, tmp_path: Path) -> LockManager:
        return FileSystemLockManager(tmp_path / "locks")


def test_memory_manager_is_one_in_a_process() -> None:
    assert MemoryLockManager() is MemoryLockManager()
    assert pickle.loads(pickle.dumps(MemoryLockManager())) is MemoryLockManager()


# --- processes -----------------------------------------------------------------------------------------------------------

HOLD = """
import sys, pathlib
from headrace.locking.filesystem import FileSystemLockManager
FileSystemLockManager(pathlib.Path(sys.argv[1])).acquire_lock("key", "child")
print("held", flush=True)
sys.stdin.read()
"""

COUNT = """
import sys, pathlib
from headrace.locking.filesystem import FileSystemLockManager
locks, counter = FileSystemLockManager(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])
for turn in range(25):
    locks.acquire_lock("key", sys.argv[3])
    counter.write_text(str(int(counter.read_text()) + 1))
    locks.release_lock("key", sys.argv[3])
"""


@pytest.fixture
def holder(tmp_path: Path) -> Any:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "locks")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.communicate()


def test_lock_of_a_living_process_holds(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    locks = FileSystemLockManager(tmp_path / "locks")
    assert locks.is_lock_holder("key", "child")
    assert not locks.acquire_lock("key", "me", acquire_timeout=0)


def test_lock_of_a_killed_process_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    locks = FileSystemLockManager(tmp_path / "locks")
    assert not locks.is_locked("key")
    assert locks.acquire_lock("key", "me", acquire_timeout=0)
    assert locks.is_lock_holder("key", "me")


def test_many_who_find_a_dead_holder_leave_one_new_holder(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    barrier = threading.Barrier(8)

    def take(name: str) -> bool:
        barrier.wait()
        return FileSystemLockManager(tmp_path / "locks").acquire_lock("key", name, acquire_timeout=0)

    with ThreadPoolExecutor(8) as pool:
        won = [pool.submit(take, str(number)) for number in range(8)]
        assert sum(future.result() for future in won) <= 1
    assert FileSystemLockManager(tmp_path / "locks").acquire_lock("key", "after", 0) is (sum(future.result() for future in won) == 0)


def test_process_with_the_number_of_a_dead_one_does_not_inherit_its_lock(tmp_path: Path) -> None:
    import json

    locks = FileSystemLockManager(tmp_path / "locks")
    locks.acquire_lock("key", "me")
    [file] = (tmp_path / "locks").glob("*.lock")
    content = json.loads(file.read_text())
    assert content["process"]["pid"] == os.getpid()
    content["process"]["started"] = "1"
    file.write_text(json.dumps(content))
    assert not locks.is_locked("key")


def test_processes_exclude_each_other(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    start: Callable[[str], subprocess.Popen[bytes]] = lambda name: subprocess.Popen(
        [sys.executable, "-c", COUNT, str(tmp_path / "locks"), str(counter), name]
    )
    children = [start(name) for name in "abc"]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    assert counter.read_text() == "75"
