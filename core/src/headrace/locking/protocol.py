"""What a lock manager is."""

from headrace.engine.locking.base import LockManager

__all__ = ["LockManager"]
