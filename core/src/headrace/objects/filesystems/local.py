"""Files of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from headrace.client.bridge import blocking
from headrace.model import ids
from headrace.objects.filesystems.interfaces import PathNotFound, WritableDeploymentStorage, WritableFileSystem
from headrace.objects.ignore import read_rules
from headrace.objects.offload import offload


class LocalFileSystem(WritableFileSystem, WritableDeploymentStorage):
    """Store data as a file on a local file system.

    `basepath` is a directory of this machine, the working directory by default; `~` is resolved. Paths are relative to it, and none
    leads out of it. A write is atomic: whoever reads meanwhile finds the old content or the new, never a part.

    Example:
        ```python
        from headrace.filesystems import LocalFileSystem

        files = LocalFileSystem(basepath="/data/results")
        files.write_path("today/report.txt", b"all is well")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Local File System"
    _block_type_slug: ClassVar[str | None] = "local-file-system"

    basepath: str | None = Field(default=None, description="Default local path for this block to write to.")

    @field_validator("basepath", mode="before")
    @classmethod
    def cast_pathlib(cls, value: str | Path | None) -> str | None:
        """Take a `Path` for text."""
        return str(value) if isinstance(value, Path) else value

    async def aread_path(self, path: str) -> bytes:
        """Return the content of the file at `path`. Raises ValueError when there is none or `path` leads out of the base."""
        return await offload(self._read, path)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write a file, making directories as needed, and return its whole path. Raises ValueError when `path` leads out of the base."""
        return await offload(self._write, path, content)

    async def aexists(self, path: str) -> bool:
        """Say whether a file is at `path`. Raises ValueError when `path` leads out of the base."""
        return await offload(lambda: self._resolve(path).is_file())

    async def adelete_path(self, path: str) -> None:
        """Delete the file at `path`; nothing happens when there is none. Raises ValueError when `path` leads out of the base."""
        await offload(lambda: self._resolve(path).unlink(missing_ok=True))

    async def alist_paths(self, path: str = "") -> list[str]:
        """Return the paths of all files below the directory `path`, sorted and relative to the base; none if it does not exist."""
        return await offload(self._list, path)

    async def aget_directory(self, from_path: str | None = None, local_path: str | None = None) -> None:
        """Copy the directory `from_path` (default: the base) into `local_path` (default: the working directory).

        Raises ValueError when `from_path` leads out of the base or is not a directory.
        """
        await offload(self._get, from_path, local_path)

    async def aput_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> None:
        """Copy the directory `local_path` (default: the working directory) to `to_path` (default: the base).

        Files that match a pattern in `ignore_file`, in the syntax of gitignore, are left out.
        """
        await offload(self._put, local_path, to_path, ignore_file)

    if TYPE_CHECKING:

        def read_path(self, path: str) -> bytes: ...
        def write_path(self, path: str, content: bytes) -> str: ...
        def exists(self, path: str) -> bool: ...
        def delete_path(self, path: str) -> None: ...
        def list_paths(self, path: str = "") -> list[str]: ...
        def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> None: ...
        def put_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> None: ...
    else:
        read_path = blocking(aread_path)
        write_path = blocking(awrite_path)
        exists = blocking(aexists)
        delete_path = blocking(adelete_path)
        list_paths = blocking(alist_paths)
        get_directory = blocking(aget_directory)
        put_directory = blocking(aput_directory)

    @property
    def _base(self) -> Path:
        return Path(self.basepath or ".").expanduser().resolve()

    def _resolve(self, path: str | None) -> Path:
        base = self._base
        whole = (base / Path(path or ".").expanduser()).resolve()
        if not whole.is_relative_to(base):
            raise ValueError(f"The path {path!r} leads out of the file system's base {str(base)!r}. Give a path below it.")
        return whole

    def _read(self, path: str) -> bytes:
        whole = self._resolve(path)
        if not whole.exists():
            raise PathNotFound(f"Path {str(whole)!r} does not exist.")
        if not whole.is_file():
            raise PathNotFound(f"Path {str(whole)!r} is not a file.")
        return whole.read_bytes()

    def _write(self, path: str, content: bytes) -> str:
        whole = self._resolve(path)
        if whole == self._base:
            raise ValueError(f"The path {path!r} names the file system's base itself. Give the path of a file below it.")
        whole.parent.mkdir(parents=True, exist_ok=True)
        draft = whole.with_name(f".{ids.random_hex(8)}.draft")
        try:
            draft.write_bytes(content)
            draft.replace(whole)
        finally:
            draft.unlink(missing_ok=True)
        return str(whole)

    def _list(self, path: str) -> list[str]:
        base = self._base
        return sorted(file.relative_to(base).as_posix() for file in self._resolve(path).rglob("*") if file.is_file())

    def _get(self, from_path: str | None, local_path: str | None) -> None:
        source = self._resolve(from_path)
        target = Path(local_path or ".").expanduser().resolve()
        if not source.is_dir():
            raise PathNotFound(f"Path {str(source)!r} is not a directory.")
        if source != target:
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=_all_but(target))

    def _put(self, local_path: str | None, to_path: str | None, ignore_file: str | None) -> None:
        source = Path(local_path or ".").expanduser().resolve()
        target = self._resolve(to_path)
        if source == target:
            return
        for relative in list(read_rules(ignore_file).files_in(source)):
            file = source / relative
            if target != source and file.is_relative_to(target):
                continue  # the copy lies within what is copied
            destination = target / relative
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, destination)


def _all_but(target: Path) -> Callable[[str, list[str]], set[str]]:
    """Leave the target out of a copy when it lies within what is copied."""

    def ignore(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if Path(folder, name) == target}

    return ignore
