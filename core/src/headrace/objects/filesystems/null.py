"""A file system that keeps nothing."""

from __future__ import annotations

from headrace.client.bridge import blocking


class NullFileSystem:
    """Forget what is written; reading gives None. Not a block."""

    async def aread_path(self, path: str) -> None:
        """Return None."""

    async def awrite_path(self, path: str, content: bytes) -> None:
        """Forget the content."""

    async def aget_directory(self, from_path: str | None = None, local_path: str | None = None) -> None:
        """Copy nothing."""

    async def aput_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> None:
        """Copy nothing."""

    read_path = blocking(aread_path)
    write_path = blocking(awrite_path)
    get_directory = blocking(aget_directory)
    put_directory = blocking(aput_directory)
