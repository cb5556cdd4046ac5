"""Locks for the processes of one machine."""

from headrace.data.locking.filesystem import FileSystemLockManager

__all__ = ["FileSystemLockManager"]
