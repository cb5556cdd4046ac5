"""Lock managers: one contract for all, and what the file locks owe to processes that die."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.locking.filesystem import FileSystemLockManager
from headrace.locking.memory import MemoryLockManager
from headrace.locking.protocol import LockManager
from headrace.model import clock, ids


@pytest.fixture(params=["memory", "files"])
def locks(request: pytest.FixtureRequest, tmp_path: Path) -> LockManager:
    return MemoryLockManager() if request.param == "memory" else FileSystemLockManager(tmp_path / "locks")


@pytest.fixture
def key() -> str:
    return f"a/strange key: {ids.random_hex(4)}"


class HeldClock(clock.SystemClock):
    """A clock that a test can move on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += seconds


def test_it_is_a_lock_manager(locks: LockManager) -> None:
    assert isinstance(locks, LockManager)


def test_only_one_holder_at_a_time(locks: LockManager, key: str) -> None:
    assert locks.acquire_lock(key, "a")
    assert not locks.acquire_lock(key, "b", acquire_timeout=0)
    assert locks.is_locked(key)
    assert locks.is_lock_holder(key, "a")
    assert not locks.is_lock_holder(key, "b")
    locks.release_lock(key, "a")
    assert not locks.is_locked(key)
    assert locks.acquire_lock(key, "b", acquire_timeout=0)


def test_holder_may_ask_again(locks: LockManager, key: str) -> None:
    assert locks.acquire_lock(key, "a")
    assert locks.acquire_lock(key, "a", acquire_timeout=0)


def test_keys_do_not_stand_in_each_others_way(locks: LockManager, key: str) -> None:
    assert locks.acquire_lock(key, "a")
    assert locks.acquire_lock(key.replace("/", "%2F"), "b", acquire_timeout=0)


def test_release_by_another_is_refused(locks: LockManager, key: str) -> None:
    with pytest.raises(ValueError, match="No lock on .* is held by 'b'"):
        locks.release_lock(key, "b")
    locks.acquire_lock(key, "a")
    with pytest.raises(ValueError, match="'a' holds it"):
        locks.release_lock(key, "b")


def test_lease_ends(locks: LockManager, key: str) -> None:
    with clock.use(HeldClock()) as time:
        assert locks.acquire_lock(key, "a", hold_timeout=10)
        assert not locks.acquire_lock(key, "b", acquire_timeout=0)
        time.ahead += 11  # type: ignore[attr-defined]  # the held clock
        assert not locks.is_locked(key)
        assert not locks.is_lock_holder(key, "a")
        assert locks.acquire_lock(key, "b", acquire_timeout=0)


def test_waiting_gives_up_after_its_time(locks: LockManager, key: str) -> None:
    locks.acquire_lock(key, "a")
    with clock.use(HeldClock()):
        assert not locks.acquire_lock(key, "b", acquire_timeout=5)
        assert not locks.wait_for_lock(key, timeout=5)


def test_waiting_ends_when_the_lock_is_released(locks: LockManager, key: str) -> None:
    locks.acquire_lock(key, "a")
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(locks.wait_for_lock, key, 30)
        locks.release_lock(key, "a")
        assert waiting.result()


def test_async_names_wait_without_blocking_the_loop(locks: LockManager, key: str) -> None:
    async def main() -> list[str]:
        lines: list[str] = []

        async def work(name: str) -> None:
            assert await locks.aacquire_lock(key, name)
            lines.append(f"{name} in")
            await asyncio.sleep(0)
            lines.append(f"{name} out")
            locks.release_lock(key, name)

        await asyncio.gather(*(work(str(number)) for number in range(40)))
        assert await locks.await_for_lock(key, 1)
        return lines

    lines = asyncio.run(main())
    assert [line.split()[1] for line in lines] == ["in", "out"] * 40


def test_threads_exclude_each_other(locks: LockManager, key: str) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def work(name: str) -> None:
        nonlocal inside, most
        for _ in range(5):
            locks.acquire_lock(key, name)
            with guard:
                inside += 1
                most = max(most, inside)
            with guard:
                inside -= 1
            locks.release_lock(key, name)

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(work, str(number)) for number in range(6)]:
            future.result()
    assert most == 1


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
