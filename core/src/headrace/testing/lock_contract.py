"""The tests that every lock manager passes, core's and plugins'. Inherit `LockContract` and give the `locks` fixture."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from headrace.data.locking.base import LockManager
from headrace.model import ids


class LockContract:
    """What a lock manager owes those who use it.

    A subclass named `Test…` overrides the fixture `locks`, which returns a manager. Each test uses a key of its own, so the
    managers of several tests may share a service.
    """

    @pytest.fixture
    def locks(self) -> LockManager:
        """Return the manager to test."""
        raise TypeError(f"{type(self).__name__} must override the fixture `locks`.")

    @pytest.fixture
    def key(self) -> str:
        """Return a key that nobody else uses, with characters that mean something to file systems."""
        return f"a/strange key: {ids.random_hex(4)}"

    def test_it_is_a_lock_manager(self, locks: LockManager) -> None:
        assert isinstance(locks, LockManager)

    def test_only_one_holder_at_a_time(self, locks: LockManager, key: str) -> None:
        assert locks.acquire_lock(key, "a")
        assert not locks.acquire_lock(key, "b", acquire_timeout=0)
        assert locks.is_locked(key)
        assert locks.is_lock_holder(key, "a")
        assert not locks.is_lock_holder(key, "b")
        locks.release_lock(key, "a")
        assert not locks.is_locked(key)
        assert locks.acquire_lock(key, "b", acquire_timeout=0)

    def test_holder_may_ask_again(self, locks: LockManager, key: str) -> None:
        assert locks.acquire_lock(key, "a")
        assert locks.acquire_lock(key, "a", acquire_timeout=0)

    def test_keys_do_not_stand_in_each_others_way(self, locks: LockManager, key: str) -> None:
        assert locks.acquire_lock(key, "a")
        assert locks.acquire_lock(key.replace("/", "%2F"), "b", acquire_timeout=0)

    def test_release_by_another_is_refused(self, locks: LockManager, key: str) -> None:
        with pytest.raises(ValueError, match="b"):
            locks.release_lock(key, "b")
        locks.acquire_lock(key, "a")
        with pytest.raises(ValueError, match="b"):
            locks.release_lock(key, "b")
        assert locks.is_lock_holder(key, "a")

    def test_lease_ends(self, locks: LockManager, key: str) -> None:
        assert locks.acquire_lock(key, "a", hold_timeout=0.05)
        assert locks.acquire_lock(key, "b", acquire_timeout=30)
        assert not locks.is_lock_holder(key, "a")

    def test_waiting_gives_up_after_its_time(self, locks: LockManager, key: str) -> None:
        locks.acquire_lock(key, "a")
        assert not locks.acquire_lock(key, "b", acquire_timeout=0.02)
        assert not locks.wait_for_lock(key, timeout=0.02)

    def test_waiting_ends_when_the_lock_is_released(self, locks: LockManager, key: str) -> None:
        locks.acquire_lock(key, "a")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(locks.wait_for_lock, key, 30)
            locks.release_lock(key, "a")
            assert waiting.result()

    def test_async_names_wait_without_blocking_the_loop(self, locks: LockManager, key: str) -> None:
        async def main() -> list[str]:
            lines: list[str] = []

            async def work(name: str) -> None:
                assert await locks.aacquire_lock(key, name)
                lines.append("in")
                await asyncio.sleep(0)
                lines.append("out")
                locks.release_lock(key, name)

            await asyncio.gather(*(work(str(number)) for number in range(20)))
            assert await locks.await_for_lock(key, 1)
            return lines

        assert asyncio.run(main()) == ["in", "out"] * 20

    def test_threads_exclude_each_other(self, locks: LockManager, key: str) -> None:
        inside, most, guard = 0, 0, threading.Lock()

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
