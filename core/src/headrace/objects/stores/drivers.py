"""What is asked of a store: a driver with plain blocking methods. Keys are whole, with `/` between their parts, and never begin with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from headrace.model.errors import HeadraceException
from headrace.objects.filesystems.interfaces import PathNotFound

Progress = Callable[[int], None]
"""Is told how many bytes more have gone over; raises when the transfer is to end, which a driver lets pass."""


class ObjectNotFound(PathNotFound):
    """No object is at a key. A `FileNotFoundError`; the SDK's own error is its cause."""


class ObjectStoreError(HeadraceException):
    """A store cannot be used at all: no such bucket, no permission, a wrong region, no answer. A transfer of many objects ends with it."""


NAMED_MAX = 100
"""Failed objects that the text of one error names."""


class TransferError(ObjectStoreError):
    """Some objects of a transfer failed, and the others were transferred. `failures`: what happened, by key or file."""

    def __init__(self, what: str, failures: dict[str, Exception], done: int) -> None:
        self.what, self.failures, self.done = what, failures, done
        lines = [f"  {name}: {type(error).__name__}: {error}" for name, error in sorted(failures.items())[:NAMED_MAX]]
        lines += [f"  and {len(failures) - NAMED_MAX} more, see `failures`"] if len(failures) > NAMED_MAX else []
        super().__init__(f"{what}: {len(failures)} of {len(failures) + done} failed.\n" + "\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.what, self.failures, self.done))


class TransferStopped(Exception):
    """A transfer ends because its caller has gone or because the store cannot be used."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing tells of it. `size` in bytes, None if it is not that of the content; `version`: an ETag, generation or the like."""

    key: str
    size: int | None = None
    version: str | None = None
    is_folder: bool = False
    """Whether it only marks a folder, as some tools leave them; a key that ends in `/` always does."""


class ObjectStoreDriver(ABC):
    """One bucket or container. Methods are called from several threads at once and may raise whatever the SDK raises."""

    @property
    @abstractmethod
    def place(self) -> str:
        """What the store is called in messages, as `s3://my-bucket`. No secrets."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key begins with `prefix`, page by page."""

    @abstractmethod
    def head(self, key: str) -> StoredObject:
        """Return what is known of an object."""

    @abstractmethod
    def read(self, key: str, start: int = 0, version: str | None = None, **options: Any) -> Iterator[bytes]:
        """Yield the content from byte `start` on, in pieces of at most a few MiB. With a `version`: of that one, or fail."""

    @abstractmethod
    def write(self, key: str, content: BinaryIO, size: int | None, progress: Progress, **options: Any) -> None:
        """Store what `content` yields, replacing what is there. `size` is None when it is unknown: then `content` may not be seekable."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object; nothing happens when there is none."""

    @abstractmethod
    def copy(self, key: str, to_container: str | None, to_key: str, **options: Any) -> None:
        """Copy an object within the store, to another bucket or container if one is named."""

    def download(self, key: str, path: Path, progress: Progress, **options: Any) -> bool:
        """Write an object to a new file by the SDK's own, parallel means; False (the default) to have it read as a stream.

        Asked for objects of 8 MiB and more.
        """
        return False

    def explain(self, error: Exception, key: str) -> Exception | None:
        """Return what an SDK's error means: an `ObjectNotFound`, an `ObjectStoreError` with advice; None to let it pass as it is.

        What is returned is raised with the SDK's error as its cause. It is given for errors of every method.
        """
        return None

    def is_passing(self, error: Exception) -> bool:
        """Say whether reading may go on after this error, from where it stopped."""
        return isinstance(error, OSError) and not isinstance(error, FileNotFoundError | PermissionError)

    def close(self) -> None:
        """Let go of connections."""
        return
