"""Locks for the processes of one machine."""

from headrace.engine.locking.filesystem import FileSystemLockManager

__all__ = ["FileSystemLockManager"]
