"""Moving objects: many at once and bounded, streams, what is told meanwhile, going on where a download broke off."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from hashlib import sha256
from io import RawIOBase
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from headrace.model import clock, ids
from headrace.objects.stores.drivers import ObjectStoreDriver, ObjectStoreError, StoredObject, TransferError, TransferStopped

T = TypeVar("T")
R = TypeVar("R")

CONCURRENCY = 8
"""Objects that one transfer moves at once."""
BIG_BYTES = 8 * 1024 * 1024
"""From this size on the store's own means of downloading are used, and a part of a file is kept to go on with."""
TRIES = 4
"""How often in a row a stream may break off without a byte having come."""
FIRST_NEWS_SECONDS, NEWS_SECONDS = 5.0, 10.0
"""After how long a transfer begins to tell of itself, and how often."""


class Transfer:
    """One call that moves one object or many. `what` begins its messages: "Upload to s3://bucket/folder"."""

    def __init__(self, what: str, logger: logging.Logger | logging.LoggerAdapter[Any], concurrency: int = CONCURRENCY) -> None:
        self.what = what
        self._logger = logger
        self._concurrency = concurrency
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._began = clock.monotonic()
        self._news_at = self._began + FIRST_NEWS_SECONDS
        self._bytes = self._files = 0
        self._of_files: int | None = None
        self._of_bytes: int | None = None

    def expect(self, files: int | None, size: int | None) -> None:
        """Say how much there is in all, for the messages."""
        self._of_files, self._of_bytes = files, size

    def stop(self) -> None:
        """Let it end at the next piece of each object."""
        self._stopped.set()

    def moved(self, size: int) -> None:
        """Count bytes, and tell how far it is when that is due. Raises `TransferStopped` after `stop`."""
        if self._stopped.is_set():
            raise TransferStopped(self.what)
        with self._lock:
            self._bytes += size
            now = clock.monotonic()
            is_due = now >= self._news_at
            if is_due:
                self._news_at = now + NEWS_SECONDS
        if is_due:
            self._logger.info("%s: %s.", self.what, self._news(now))

    def _news(self, now: float) -> str:
        files = "" if self._of_files == 1 else f"{self._files:,}{f' of {self._of_files:,}' if self._of_files else ''} files, "
        share = f" of {in_units(self._of_bytes)} ({100 * self._bytes / self._of_bytes:.0f} %)" if self._of_bytes else ""
        return f"{files}{in_units(self._bytes)}{share}, {in_units(self._bytes / max(now - self._began, 0.001))}/s"

    def each(self, items: Iterable[T], work: Callable[[T], R], name: Callable[[T], str]) -> list[R]:
        """Do `work` for each item, several at once, and return what it returned, in no order.

        Raises `TransferError` that tells of every item that failed, once all others are done; an `ObjectStoreError` ends it at once.
        """
        failures: dict[str, Exception] = {}
        results: list[R] = []
        waiting: dict[Future[R], T] = {}
        source = iter(items)
        with ThreadPoolExecutor(self._concurrency, "headrace-transfer") as pool:
            try:
                while True:
                    for item in islice(source, 2 * self._concurrency - len(waiting)):
                        waiting[pool.submit(copy_context().run, work, item)] = item
                    if not waiting:
                        break
                    for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                        item = waiting.pop(done)
                        error = done.exception()
                        if error is None:
                            results.append(done.result())
                            self._files += 1
                        elif isinstance(error, ObjectStoreError | TransferStopped) or not isinstance(error, Exception):
                            raise error
                        else:
                            failures[name(item)] = error
            except BaseException:
                self.stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        if failures:
            raise TransferError(self.what, failures, len(results))
        return results


def in_units(size: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


# --- one object -----------------------------------------------------------------------------------------------------------------


def content_of(driver: ObjectStoreDriver, found: StoredObject, start: int, transfer: Transfer, options: dict[str, Any]) -> Iterator[bytes]:
    """Yield an object's content from `start` on; a stream that breaks off is taken up where it stopped, if the object's version is known.

    Raises what the store says, explained, and `OSError` for a content that stays shorter than the store said it is.
    """
    position, failures = start, 0
    while True:
        begun = position
        try:
            for piece in driver.read(found.key, position, found.version, **options):
                position += len(piece)
                transfer.moved(len(piece))
                yield piece
            if found.size is not None and position < found.size:
                raise ConnectionError(f"The content of {found.key!r} ended after {position} of {found.size} bytes.")
            return
        except Exception as error:
            if isinstance(error, TransferStopped):
                raise
            failures = 1 if position > begun else failures + 1
            explained = driver.explain(error, found.key)
            if explained is not None:
                raise explained from error
            may_go_on = position == 0 or found.version is not None  # else it could be another content by now
            if failures >= TRIES or not may_go_on or not driver.is_passing(error):
                raise
        clock.sleep(0.2 * 2**failures * random.uniform(0.5, 1))


def download(driver: ObjectStoreDriver, found: StoredObject, target: Path, transfer: Transfer, options: dict[str, Any]) -> Path:
    """Write an object to a file, whole or not at all. What came of a big one before it broke off is kept beside it for the next time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a directory, and the object {found.key!r} would become a file of that name.")
    draft = target.with_name(f".{ids.random_hex(8)}.part")
    is_big = (found.size or 0) >= BIG_BYTES
    kept = _kept_part(driver, found, target) if is_big and found.version else None
    try:
        if not (is_big and (kept is None or not kept.exists()) and _by_own_means(driver, found, draft, transfer, options)):
            if kept is not None and kept.exists():
                os.replace(kept, draft)  # ours now: another download of the same object finds none
            with open(draft, "ab") as out:
                for piece in content_of(driver, found, out.tell(), transfer, options):
                    out.write(piece)
        os.replace(draft, target)
    except BaseException:
        if kept is not None and draft.exists() and draft.stat().st_size > 0:
            os.replace(draft, kept)
        draft.unlink(missing_ok=True)
        raise
    return target


def _by_own_means(driver: ObjectStoreDriver, found: StoredObject, draft: Path, transfer: Transfer, options: dict[str, Any]) -> bool:
    try:
        return driver.download(found.key, draft, transfer.moved, **options)
    except BaseException as error:
        draft.unlink(missing_ok=True)  # written in any order, so nothing to go on with
        explained = driver.explain(error, found.key) if isinstance(error, Exception) and not isinstance(error, TransferStopped) else None
        if explained is None:
            raise
        raise explained from error


def _kept_part(driver: ObjectStoreDriver, found: StoredObject, target: Path) -> Path:
    """Return where a part of this version of the object is kept."""
    digest = sha256(f"{driver.place}\0{found.key}\0{found.version}\0{found.size}".encode()).hexdigest()
    return target.with_name(f".{target.name[:80]}.{digest[:16]}.part")


class StreamReader(RawIOBase):
    """Pieces of bytes as an open file that cannot seek."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` as far as the next piece goes."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def upload(driver: ObjectStoreDriver, key: str, content: BinaryIO, size: int | None, transfer: Transfer, options: dict[str, Any]) -> None:
    """Store what an open file yields. Raises what the store says, explained."""
    try:
        driver.write(key, content, size, transfer.moved, **options)
    except TransferStopped:
        raise
    except Exception as error:
        explained = driver.explain(error, key)
        if explained is None:
            raise
        raise explained from error
