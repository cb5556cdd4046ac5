"""Files in a store, as file system blocks offer them: paths below a base, whole directories, over an `ObjectStoreDriver`."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import PrivateAttr

from headrace.client.bridge import blocking
from headrace.objects.abstract import HasLogger
from headrace.objects.filesystems.interfaces import WritableDeploymentStorage, WritableFileSystem
from headrace.objects.ignore import read_rules
from headrace.objects.live import Live
from headrace.objects.offload import offload
from headrace.objects.stores.drivers import ObjectNotFound, ObjectStoreDriver, StoredObject
from headrace.objects.stores.transfers import CONCURRENCY, Transfer, content_of, download, upload

R = TypeVar("R")


class StoreFiles(HasLogger, WritableFileSystem, WritableDeploymentStorage, ABC):
    """A file system block over a driver. A subclass gives `open_driver` and `base_key`; the rest is the same for all.

    A path is relative to the base, always; a leading `/` starts at the top of the bucket. No path has a part `..`. A directory is a
    prefix that ends in `/`: `foo` never means `foobar/x`.
    """

    _is_interface: ClassVar[bool] = True
    _concurrency: ClassVar[int] = CONCURRENCY

    _driver: Live[ObjectStoreDriver] = PrivateAttr(default_factory=Live[ObjectStoreDriver])

    @abstractmethod
    def open_driver(self) -> ObjectStoreDriver:
        """Make what talks to the store. Called at first use, once a process; the fields do not change afterwards."""

    @property
    @abstractmethod
    def base_key(self) -> str:
        """The folder that paths are relative to; empty for the whole bucket. Slashes around it do not matter."""

    @property
    def driver(self) -> ObjectStoreDriver:
        """What talks to the store, made at first use."""
        return self._driver.get(self.open_driver)

    def close(self) -> None:
        """Let go of connections. The block may be used again, with new ones."""
        driver = self._driver.drop()
        if driver is not None:
            driver.close()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in type(self).model_fields:
            self.close()  # made from other values

    # --- paths

    def key_of(self, path: str | PurePath) -> str:
        """Return the whole key of an object by its path. Raises `ValueError` for a path that is empty or has a part `..`."""
        key = self._whole(path)
        if not key or key == self._whole(""):
            raise ValueError(f"The path {str(path)!r} names the folder itself. Give the path of an object in it.")
        return key

    def prefix_of(self, path: str | PurePath | None) -> str:
        """Return the prefix of all keys in a folder: it ends in `/`, or is empty for the whole bucket."""
        key = self._whole(path or "")
        return f"{key}/" if key else ""

    def _whole(self, path: str | PurePath) -> str:
        text = path.as_posix() if isinstance(path, PurePath) else path
        if os.sep != "/":
            text = text.replace(os.sep, "/")
        if ".." in text.split("/"):
            raise ValueError(f"The path {text!r} has a part '..', which could lead out of {self._described('')}. Give a path without.")
        base = "" if text.startswith("/") else self.base_key
        return "/".join(part for part in (*base.split("/"), *text.split("/")) if part not in ("", "."))

    def _described(self, prefix: str) -> str:
        return f"{self.driver.place}/{prefix}".rstrip("/")

    # --- files

    async def aread_path(self, path: str) -> bytes:
        """Return the content of the object at `path`. Raises `ObjectNotFound` when there is none."""
        return await offload(self._read, path)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Make `content` the content of the object at `path` and return its whole key. What was there is replaced."""
        return await offload(self._write, path, content)

    async def aexists(self, path: str) -> bool:
        """Say whether an object is at `path`."""
        return await offload(lambda: self._find(self.key_of(path)) is not None)

    async def adelete_path(self, path: str) -> None:
        """Delete the object at `path`; nothing happens when there is none."""
        await offload(lambda: self._ask(self.driver.delete, self.key_of(path)))

    async def alist_paths(self, path: str = "") -> list[str]:
        """Return the paths of all objects in the folder `path`, sorted and relative to the base; none if there is no such folder.

        Those outside the base, which a leading `/` may lead to, begin with `/` as well.
        """
        return await offload(self._list, path)

    async def aget_directory(self, from_path: str | None = None, local_path: str | None = None) -> list[Path]:
        """Download the folder `from_path` (default: the base) into `local_path` (default: the working directory); return the files.

        Several objects are moved at once. Raises `ObjectNotFound` when nothing is in the folder, `TransferError` that tells of each object
        that failed, after all others are there.
        """
        return await self._transferred(self._get, from_path, local_path, {})

    async def aput_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> int:
        """Upload the directory `local_path` (default: the working directory) to `to_path` (default: the base); return how many files.

        Files that match a pattern in `ignore_file`, in the syntax of gitignore, are left out; a relative `ignore_file` is looked for in the
        working directory, then in `local_path`. Raises `FileNotFoundError`, and `TransferError` that tells of each file that failed.
        """
        return len(await self._transferred(self._put, local_path, to_path, ignore_file, {}))

    if TYPE_CHECKING:

        def read_path(self, path: str) -> bytes: ...
        def write_path(self, path: str, content: bytes) -> str: ...
        def exists(self, path: str) -> bool: ...
        def delete_path(self, path: str) -> None: ...
        def list_paths(self, path: str = "") -> list[str]: ...
        def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> list[Path]: ...
        def put_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> int: ...
    else:
        read_path = blocking(aread_path)
        write_path = blocking(awrite_path)
        exists = blocking(aexists)
        delete_path = blocking(adelete_path)
        list_paths = blocking(alist_paths)
        get_directory = blocking(aget_directory)
        put_directory = blocking(aput_directory)

    # --- what subclasses may use, all of it blocking

    async def _transferred(self, work: Callable[..., R], *args: Any) -> R:
        """Do what moves objects; when the caller goes away, so does it."""
        transfer = Transfer("", self.logger, self._concurrency)
        try:
            return await offload(partial(work, transfer, *args))
        except BaseException:
            transfer.stop()
            raise

    def _ask(self, method: Callable[..., R], key: str, *args: Any, **options: Any) -> R:
        """Call a method of the driver, and say what its errors mean."""
        try:
            return method(key, *args, **options)
        except Exception as error:
            explained = self.driver.explain(error, key)
            if explained is None:
                raise
            raise explained from error

    def _find(self, key: str) -> StoredObject | None:
        try:
            return self._ask(self.driver.head, key)
        except FileNotFoundError:
            return None

    def _below(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects in a folder, without the marks of folders. The listing's errors are explained."""
        listed = self._ask(self.driver.list, prefix)

        def following(_: str) -> StoredObject | None:
            return next(listed, None)

        while (found := self._ask(following, prefix)) is not None:
            if not found.is_folder and not found.key.endswith("/") and found.key != prefix.rstrip("/"):
                yield found

    def _read(self, path: str) -> bytes:
        key = self.key_of(path)
        pieces = content_of(self.driver, StoredObject(key), 0, Transfer(f"Download of {self._described(key)}", self.logger), {})
        return b"".join(pieces)

    def _write(self, path: str, content: bytes) -> str:
        key = self.key_of(path)
        transfer = Transfer(f"Upload to {self._described(key)}", self.logger)
        upload(self.driver, key, BytesIO(content), len(content), transfer, {})
        return key

    def _list(self, path: str) -> list[str]:
        found = sorted(self._relative(found.key) for found in self._below(self.prefix_of(path)))
        if not found and path and self._find(key := self._whole(path)) is not None:
            return [self._relative(key)]
        return found

    def _relative(self, key: str) -> str:
        """Return the path of an object: relative to the base, or from the top with a leading `/` where it is not below it."""
        base = self.prefix_of(None)
        return key[len(base) :] if key.startswith(base) else f"/{key}"

    def _get(self, transfer: Transfer, from_path: str | PurePath | None, local_path: str | Path | None, options: dict[str, Any]) -> list[Path]:
        prefix = self.prefix_of(from_path)
        target = Path(local_path or ".").expanduser().resolve()
        transfer.what = f"Download of {self._described(prefix)}"
        known: set[Path] = set()

        def fetch(found: StoredObject) -> Path:
            relative = found.key[len(prefix) :] if found.key.startswith(prefix) else found.key.rpartition("/")[2]
            return download(self.driver, found, _within(target, relative, known), transfer, options)

        files = transfer.each(self._below(prefix), fetch, lambda found: found.key)
        named = self._whole(from_path or "")
        if not files and named and named != self._whole(""):
            single = self._find(named)
            if single is None:
                raise ObjectNotFound(f"Nothing is at {self._described(named)!r}: neither a folder nor an object. Check the path.")
            files = [fetch(single)]
        return sorted(files)

    def _put(
        self, transfer: Transfer, local_path: str | Path | None, to_path: str | None, ignore_file: str | None, options: dict[str, Any]
    ) -> list[str]:
        source = Path(local_path or ".").expanduser().resolve()
        if not source.is_dir():
            raise FileNotFoundError(f"There is no directory {str(source)!r} to upload.")
        prefix = self.prefix_of(to_path)
        transfer.what = f"Upload to {self._described(prefix)}"
        if ignore_file is not None and not Path(ignore_file).exists() and (source / ignore_file).exists():
            ignore_file = str(source / ignore_file)
        files = [relative for relative in read_rules(ignore_file).files_in(source) if (source / relative).is_file()]
        transfer.expect(len(files), sum((source / relative).stat().st_size for relative in files))

        def send(relative: Path) -> str:
            key = prefix + relative.as_posix()
            self._send(transfer, source / relative, key, options)
            return key

        return transfer.each(files, send, lambda relative: relative.as_posix())

    def _send(self, transfer: Transfer, file: Path, key: str, options: dict[str, Any]) -> None:
        with open(file, "rb") as content:
            upload(self.driver, key, content, os.fstat(content.fileno()).st_size, transfer, options)


def _within(folder: Path, relative: str, known: set[Path]) -> Path:
    """Return where an object of a folder is written. Raises `ValueError` for a key that would lead out of it. `known`: directories that do not."""
    parts = relative.split("/")
    target = folder.joinpath(*parts)
    if ".." in parts or target.parent not in known:
        if ".." in parts or not target.is_relative_to(folder) or not target.parent.resolve().is_relative_to(folder):
            raise ValueError(f"The key would be written outside of {str(folder)!r}, so it was not.")
        known.add(target.parent)
    return target
