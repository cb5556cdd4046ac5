"""Hashes that are the same in every process and on every machine."""

from headrace.data.hashing import file_hash, hash_objects, stable_hash

__all__ = ["file_hash", "hash_objects", "stable_hash"]
