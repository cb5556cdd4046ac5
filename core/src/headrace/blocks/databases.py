"""What blocks for databases are written with."""

from headrace.objects.databases import CursorDatabase

__all__ = ["CursorDatabase"]
