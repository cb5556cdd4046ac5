"""Where results lie: the local folder that is the default, and how any storage block is asked, in either mode."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from headrace.client.bridge import in_blocking_run
from headrace.model import ids
from headrace.model.errors import ResultStorageError
from headrace.objects.offload import call_either

NAME_BYTES_MAX = 200
"""Longest file name made from a key; file systems allow 255 bytes, and some of them are needed for what is put around it."""

_FORBIDDEN = frozenset('/\\:*?"<>|%')


@runtime_checkable
class ResultStorage(Protocol):
    """What a storage must have: the documented `WritableFileSystem`. The methods may block or be coroutines.

    `exists(path) -> bool` and `delete_path(path)` are used where they are offered, and so are async twins `aread_path`, ….
    """

    def read_path(self, path: str) -> Any:
        """Return the content at `path` as bytes."""
        ...

    def write_path(self, path: str, content: bytes) -> Any:
        """Write `content` to `path`, whatever was there."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStorage:
    """A folder of this machine. Needs no block document and no server: the default storage of results.

    Paths are relative to `folder`; one that leaves it raises `ValueError`. Writes are atomic: a reader sees the old content or
    the new one. A missing file raises `FileNotFoundError`.
    """

    folder: Path

    def locate(self, path: str) -> Path:
        """Return the whole path of `path`."""
        base = Path(os.path.abspath(os.path.expanduser(self.folder)))
        whole = Path(os.path.abspath(base / path))
        if whole == base or not whole.is_relative_to(base):
            raise ValueError(f"Result path {path!r} is outside of its folder {str(base)!r}; use a path inside of it.")
        return whole

    def read_path(self, path: str) -> bytes:
        """Return the content at `path`."""
        return self.locate(path).read_bytes()

    def read_start(self, path: str, size_bytes: int) -> bytes:
        """Return the first `size_bytes` of the content at `path`."""
        with self.locate(path).open("rb") as file:
            return file.read(size_bytes)

    def write_path(self, path: str, content: bytes) -> str:
        """Write `content` to `path`, making folders as needed; return the whole path."""
        whole = self.locate(path)
        draft = whole.with_name(f".{ids.random_hex(8)}.draft")
        try:
            try:
                draft.write_bytes(content)
            except FileNotFoundError:
                whole.parent.mkdir(parents=True, exist_ok=True)
                draft.write_bytes(content)
            draft.replace(whole)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return str(whole)

    def exists(self, path: str) -> bool:
        """Say whether there is a file at `path`. An unreadable folder raises `OSError`."""
        try:
            self.locate(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def delete_path(self, path: str) -> None:
        """Remove the file at `path` if it is there."""
        self.locate(path).unlink(missing_ok=True)


async def ask(storage: Any, method: str, *args: Any) -> Any:
    """Call a method of a storage: blocking ones directly in a blocking run and in a thread in an async one."""
    if isinstance(storage, LocalStorage):  # a small local file costs less than the way to a thread and back
        return getattr(storage, method)(*args)
    if not in_blocking_run() and hasattr(storage, "a" + method):
        return await getattr(storage, "a" + method)(*args)
    return await call_either(getattr(storage, method), *args)


async def read(storage: Any, path: str, size_bytes: int | None = None) -> bytes | None:
    """Return what is stored at `path` (its first `size_bytes`, where the storage can), or None when nothing is there.

    Raises `ResultStorageError` when the storage cannot be read: "not found" and "could not look" are different answers.
    """
    try:
        if size_bytes is not None and isinstance(storage, LocalStorage):
            return storage.read_start(path, size_bytes)
        if not isinstance(storage, LocalStorage) and hasattr(storage, "exists") and not await ask(storage, "exists", path):
            return None
        return cast("bytes", await ask(storage, "read_path", path))
    except Exception as error:
        if says_missing(error):
            return None
        raise ResultStorageError(
            f"Result storage {describe(storage)} could not be read at {path!r}: {type(error).__name__}: {error}. "
            "Check that the storage is reachable and that this process may read it."
        ) from error


async def is_there(storage: Any, path: str) -> bool:
    """Say whether something is stored at `path`; a storage without `exists` is taken at its word that what was written stays."""
    return not hasattr(storage, "exists") or bool(await ask(storage, "exists", path))


async def write(storage: Any, path: str, content: bytes) -> None:
    """Write `content` to `path`. Raises `ResultStorageError` when that fails."""
    try:
        await ask(storage, "write_path", path, content)
    except Exception as error:
        raise ResultStorageError(
            f"Result storage {describe(storage)} could not be written at {path!r}: {type(error).__name__}: {error}. "
            "Check that the storage is reachable, has room, and that this process may write it."
        ) from error


async def delete(storage: Any, path: str) -> bool:
    """Remove what is at `path`; False when the storage has no way to remove things."""
    for method in ("delete_path", "delete"):
        if hasattr(storage, method):
            await ask(storage, method, path)
            return True
    return False


def says_missing(error: BaseException) -> bool:
    """Say whether an error of some storage means that nothing is stored at the path.

    Storages have no common error for it. Known are the built-in ones, the codes 404 and NoSuchKey (S3), the class names of the
    Google and Azure SDKs, and `ValueError`s that say so, as the documented local file system raises.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (FileNotFoundError, NotADirectoryError, KeyError)):
            return True
        if type(seen).__name__ in {"NoSuchKey", "NotFound", "ResourceNotFoundError", "BlobNotFound", "ObjectNotFound"}:
            return True
        details: Any = getattr(seen, "response", None)
        if isinstance(details, dict):
            code = str(cast("dict[str, Any]", details).get("Error", {}).get("Code", ""))
            if code in {"404", "NoSuchKey", "NotFound"}:
                return True
        if 404 in (getattr(seen, "code", None), getattr(seen, "status_code", None)):
            return True
        if isinstance(seen, ValueError) and any(words in str(seen).lower() for words in ("not exist", "not found", "no such")):
            return True
        seen = seen.__cause__
    return False


def is_same_place(one: Any, other: Any) -> bool:
    """Say whether two storages keep what they are given in the same place, as far as their fields tell."""
    if isinstance(one, LocalStorage) and isinstance(other, LocalStorage):
        return one.locate("key") == other.locate("key")
    return one is other or (type(one) is type(other) and getattr(one, "__dict__", None) == getattr(other, "__dict__", one))


def describe(storage: Any) -> str:
    """Name a storage in a message, without its credentials."""
    if isinstance(storage, LocalStorage):
        return repr(str(storage.folder))
    name = getattr(storage, "_block_document_name", None)
    return f"{type(storage).__name__} {name!r}" if name else type(storage).__name__


def file_name(key: str) -> str:
    """Make a key safe as the name of one file: the same key always gives the same name, two keys never give one name.

    Most keys stay as they are. Characters that mean something in paths are written as %XX, so that a key can neither leave the
    storage's folder nor make folders in it; a long key keeps its beginning, and a hash stands for the rest.
    """
    safe = "".join(f"%{ord(char):02X}" if char in _FORBIDDEN or ord(char) < 32 else char for char in key)
    if safe.startswith("."):
        safe = "%2E" + safe[1:]
    if len(safe.encode()) <= NAME_BYTES_MAX:
        return safe
    from headrace.data.hashing import stable_hash

    head = safe.encode()[: NAME_BYTES_MAX - 40].decode(errors="ignore")
    return f"{head}%{stable_hash(key)}"
