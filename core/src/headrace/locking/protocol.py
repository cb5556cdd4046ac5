"""What a lock manager is."""

from headrace.data.locking.base import LockManager

__all__ = ["LockManager"]
