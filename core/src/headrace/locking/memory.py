"""Locks for threads and coroutines of one process."""

from headrace.data.locking.memory import MemoryLockManager

__all__ = ["MemoryLockManager"]
