"""A large object as a file, several of its parts at once, compared with its checksum when they are all there."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from google.cloud.storage import Blob

    from headrace.blocks.object_stores import Progress

PART_BYTES = 32 * 1024 * 1024
PARALLEL = 4
"""Parts of one object that come at once. Folders move several objects at once besides."""
PIECE_BYTES = 1024 * 1024


def download_parts(blob: Blob, path: Path, progress: Progress, options: dict[str, Any]) -> None:
    """Write the content of a blob, as it was last asked for, to a new file. Raises `DataCorruption` when its checksum is another."""
    from google.cloud.storage.exceptions import DataCorruption

    size, checksum = int(blob.size or 0), blob.crc32c  # a part's answer changes what the blob knows
    parts = [(start, min(start + PART_BYTES, size) - 1) for start in range(0, size, PART_BYTES)]
    options = {"if_generation_match": blob.generation, **options, "checksum": None}  # a part has none
    broken = threading.Event()

    def fetch(part: tuple[int, int]) -> None:
        try:
            with path.open("r+b", buffering=PIECE_BYTES) as file:
                file.seek(part[0])
                place = _Part(file, progress, broken)
                blob.download_to_file(place, start=part[0], end=part[1], **options)
                place.flush()
        except BaseException:
            broken.set()
            raise

    with path.open("wb") as file:
        file.truncate(size)
    with ThreadPoolExecutor(PARALLEL, "headrace-gcp-part") as pool:
        working = [pool.submit(copy_context().run, fetch, part) for part in parts]
    errors = [error for one in working if (error := one.exception()) is not None]
    if errors:
        raise next((error for error in errors if not isinstance(error, _Broken)), errors[0])
    if checksum and _checksum_of(path) != checksum:
        raise DataCorruption(None, f"The content of {blob.name!r} was damaged on the way: its checksum is another. Download it again.")


class _Broken(Exception):
    """Another part cannot be had."""


class _Part:
    """An open file, in which one part of an object goes to its place."""

    def __init__(self, file: BinaryIO, progress: Progress, broken: threading.Event) -> None:
        self._file, self._progress, self._broken = file, progress, broken
        self._untold = 0

    def write(self, data: bytes) -> int:
        self._untold += len(data)
        if self._untold >= PIECE_BYTES:  # the SDK writes 8 KiB at a time
            self._tell()
        return self._file.write(data)

    def flush(self) -> None:
        self._tell()
        self._file.flush()

    def _tell(self) -> None:
        if self._broken.is_set():
            raise _Broken
        untold, self._untold = self._untold, 0
        self._progress(untold)


def _checksum_of(path: Path) -> str:
    from google_crc32c import Checksum

    found = Checksum()
    with path.open("rb") as file:
        for _ in found.consume(file, PIECE_BYTES):
            pass
    return base64.b64encode(found.digest()).decode()
