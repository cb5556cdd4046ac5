"""Redis as a file system."""

from headrace.objects.redis import RedisStorageContainer

__all__ = ["RedisStorageContainer"]
