"""Locks as files in a folder, for the processes of one machine.

A lock is a file that is linked into place whole, so nobody sees half of one. It names its holder and its process: when that
process is gone, or the lease is over, the next one who asks removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.data.locking.base import WaitingLocks
from headrace.data.storage import file_name
from headrace.model import clock, ids


@dataclass(frozen=True, slots=True)
class _Process:
    """A process, told apart from a later one with the same number. `host` is where the number means something."""

    host: str
    pid: int
    started: str | None


@dataclass(frozen=True, slots=True)
class _Held:
    holder: str
    process: _Process
    expires: float | None  # seconds since the epoch

    def is_over(self) -> bool:
        """Say whether the lease has ended or the holder's process is gone."""
        if self.expires is not None and self.expires <= clock.now().timestamp():
            return True
        if self.process.host != _host():
            return False  # another machine or container: only the lease can tell
        return not _is_alive(self.process)


class FileSystemLockManager(WaitingLocks):
    """Grants locks to processes and threads of this machine through files in `lock_files_directory`, which is made when needed.

    A lock without `hold_timeout` lasts until it is released or its process ends, however it ends.
    """

    def __init__(self, lock_files_directory: Path | str) -> None:
        self.lock_files_directory: Path = Path(lock_files_directory).expanduser()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileSystemLockManager) and other.lock_files_directory == self.lock_files_directory

    def __hash__(self) -> int:
        return hash(self.lock_files_directory)

    def __repr__(self) -> str:
        return f"FileSystemLockManager(lock_files_directory={str(self.lock_files_directory)!r})"

    def release_lock(self, key: str, holder: str) -> None:
        """Give the lock back. Raises `ValueError` when `holder` does not hold it."""
        with self._guard():
            held = self._present(key)
            if held is None or held.holder != holder:
                raise ValueError(f"No lock on {key!r} is held by {holder!r}" + (f"; {held.holder!r} holds it." if held else "."))
            self._path(key).unlink(missing_ok=True)

    def is_locked(self, key: str) -> bool:
        """Say whether anybody holds the lock."""
        return self._present(key) is not None

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Say whether `holder` holds the lock."""
        held = self._present(key)
        return held is not None and held.holder == holder

    def _path(self, key: str) -> Path:
        return self.lock_files_directory / f"{file_name(key)}.lock"

    def _present(self, key: str) -> _Held | None:
        held = _read(self._path(key))
        return None if held is None or held.is_over() else held

    def try_lock(self, key: str, holder: str, hold_timeout: float | None = None) -> bool:
        """Take the lock if it is free; say whether `holder` has it."""
        path = self._path(key)
        held = _read(path)
        if held is not None and not held.is_over():
            return held.holder == holder
        if held is not None:
            self._remove_if_over(path)
        expires = None if hold_timeout is None else clock.now().timestamp() + hold_timeout
        draft = path.with_name(f".{ids.random_hex(8)}.draft")
        self.lock_files_directory.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(_Held(holder, _this_process(), expires))))
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _remove_if_over(self, path: Path) -> None:
        with self._guard():  # so that two who saw the same dead holder do not remove each other's new lock
            held = _read(path)
            if held is not None and held.is_over():
                path.unlink(missing_ok=True)

    @contextmanager
    def _guard(self) -> Generator[None, None, None]:
        """Let one at a time remove lock files of this folder. The operating system ends it with the process."""
        import fcntl

        self.lock_files_directory.mkdir(parents=True, exist_ok=True)
        with (self.lock_files_directory / ".guard").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _read(path: Path) -> _Held | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return _Held(values["holder"], _Process(**values["process"]), values["expires"])


def _host() -> str:
    """Return the name of the machine and, on Linux, of the namespace in which process numbers count."""
    import socket

    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since boot (proc(5), field 22 of stat); None where /proc is not Linux's."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold blanks and brackets
    return None if fields[0] == "Z" else fields[19]


def _this_process() -> _Process:
    return _Process(_host(), os.getpid(), _started(os.getpid()))


def _is_alive(process: _Process) -> bool:
    if process.started is not None:
        return _started(process.pid) == process.started
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's, but there
    return True
