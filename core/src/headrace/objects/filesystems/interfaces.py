"""What a file system block must do. Paths are relative to the block's base; contents are bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from headrace.objects.blocks import Block
from headrace.objects.offload import call_either


class PathNotFound(ValueError, FileNotFoundError):
    """Nothing, or not a file, is at a path of a file system block."""


class ReadableFileSystem(Block, ABC):
    """A place to read files from. Write `read_path` in a subclass, blocking or async; `aread_path` follows from it."""

    _is_interface: ClassVar[bool] = True
    _block_schema_capabilities: ClassVar[list[str]] = ["read-path"]

    @abstractmethod
    def read_path(self, path: str) -> Any:
        """Return the content of the file at `path`, as bytes."""

    async def aread_path(self, path: str) -> Any:
        """Return the content of the file at `path`."""
        return await call_either(self.read_path, path)


class WritableFileSystem(ReadableFileSystem, ABC):
    """A place to read files from and write them to.

    `exists`, `delete_path` and `list_paths` need not be written by a subclass, but what keeps results and caches there works
    better with them: without `exists` a file is read to find out whether it is there.
    """

    _is_interface: ClassVar[bool] = True
    _block_schema_capabilities: ClassVar[list[str]] = ["write-path"]

    @abstractmethod
    def write_path(self, path: str, content: bytes) -> Any:
        """Make `content` the content of the file at `path`."""

    async def awrite_path(self, path: str, content: bytes) -> Any:
        """Make `content` the content of the file at `path`."""
        return await call_either(self.write_path, path, content)


class ReadableDeploymentStorage(Block, ABC):
    """A place to take whole directories from."""

    _is_interface: ClassVar[bool] = True
    _block_schema_capabilities: ClassVar[list[str]] = ["get-directory"]

    @abstractmethod
    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> Any:
        """Copy the directory `from_path` (default: all there is) into `local_path` (default: the working directory)."""

    async def aget_directory(self, from_path: str | None = None, local_path: str | None = None) -> Any:
        """Copy the directory `from_path` into `local_path`."""
        return await call_either(self.get_directory, from_path, local_path)


class WritableDeploymentStorage(ReadableDeploymentStorage, ABC):
    """A place to take whole directories from and put them to."""

    _is_interface: ClassVar[bool] = True
    _block_schema_capabilities: ClassVar[list[str]] = ["put-directory"]

    @abstractmethod
    def put_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> Any:
        """Copy the directory `local_path` (default: the working directory) to `to_path` (default: the base).

        Files that match a pattern in `ignore_file`, in the syntax of gitignore, are left out.
        """

    async def aput_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> Any:
        """Copy the directory `local_path` to `to_path`."""
        return await call_either(self.put_directory, local_path, to_path, ignore_file)
