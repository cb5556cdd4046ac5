"""Locks for threads and coroutines of one process."""

from headrace.engine.locking.memory import MemoryLockManager

__all__ = ["MemoryLockManager"]
