"""The files that records wait in: lines of JSON, each file locked by its writer for as long as that lives."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

FILE_SUFFIX = ".spool"

Json = dict[str, Any] | list[Any]
Line = tuple[str, Json]
"""What kind of record it is, and the record. "t": a task run, "l": a log line, "e": an event, "s": a flow run's proposed final state."""


class SpoolFile:
    """One file of records, locked for as long as this process has it open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def append(self, line: bytes) -> None:
        """Write a line, whole or not at all."""
        written = os.write(self._fd, line)
        if written != len(line):
            os.ftruncate(self._fd, self.size_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size_bytes += written

    @property
    def is_closed(self) -> bool:
        """Say whether the file was let go of. (Its descriptor's number is forgotten then: it may soon be that of another file.)"""
        return self._fd < 0

    def empty(self) -> None:
        """Forget all lines."""
        if self.size_bytes and not self.is_closed:
            os.ftruncate(self._fd, 0)
            self.size_bytes = 0

    def close(self) -> None:
        """Let go of the file; what is in it is for the next process."""
        descriptor, self._fd = self._fd, -1
        os.close(descriptor)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        self.close()


def read_lines(content: bytes) -> list[Line]:
    """Return the records of a spool file; a last line that was cut off by the death of its writer is left out."""
    whole, _, _ = content.rpartition(b"\n")
    return [tuple(json.loads(line)) for line in whole.split(b"\n") if line]  # type: ignore[misc]  # pairs, by `Spool`
