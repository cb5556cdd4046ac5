"""The crash-safe outbox: task-run records and log lines on their way to the store.

A record is appended to this process's file before the call that made it returns, so a killed process loses nothing; one daemon
thread delivers records in batches, and a run's end delivers what is left. The file is locked by its owner for as long as it lives:
whoever can lock it knows that the owner is dead, delivers the rest and marks the owner's runs Crashed (`recover`).
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import json
import logging
import os
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from threading import Event, Lock, RLock, Thread
from typing import Any, Protocol
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.interface import Client
from headrace.model import ids
from headrace.model.clock import monotonic
from headrace.model.errors import StoreError

BATCH_RECORDS_MAX = 1_000
DELIVERY_INTERVAL_SECONDS = 0.1
ANNOUNCE_AFTER_SECONDS = 0.05
BACKLOG_RECORDS_MAX = 2_000
"""When so many records wait, whoever appends another delivers them first: memory stays bounded however fast runs end."""

ANNOUNCED_AT_ONCE_MAX = 100
FILE_BYTES_MAX = 4_000_000
FILE_SUFFIX = ".spool"

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

Json = dict[str, Any] | list[Any]


class OpenRecord(Protocol):
    """A run whose record is still being written: delivered early when it lasts, so that it can be seen."""

    def unsent(self) -> dict[str, Any] | None:
        """Return the record with the states that were not handed out yet, or None when there are none."""
        ...


class Spool:
    """The outbox of this process. Safe to use from any thread."""

    def __init__(self, folder: Path, client: Client) -> None:
        """Make the file in `folder` and lock it. Raises `StoreError` when the folder cannot be written."""
        self.owner_id: UUID = ids.new()
        self.folder = folder
        self._client = client
        self._queue: deque[tuple[str, Json]] = deque()
        self._open: dict[int, tuple[float, OpenRecord]] = {}
        self._append_lock = Lock()
        self._delivery_lock = RLock()
        self._wake = Event()
        self._closed = False
        self._failure: BaseException | None = None
        self._thread: Thread | None = None
        self._appended = 0
        self._delivered = 0
        self._retired: deque[tuple[int, _File]] = deque()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = _File(folder / f"{self.owner_id}.0{FILE_SUFFIX}")
        except OSError as error:
            raise _unusable(folder, error) from error

    # --- writing ---------------------------------------------------------------------------------------------------

    def append_log(self, record: list[Any]) -> None:
        """Keep a log line; on disk when this returns. Raises `StoreError` when the disk refuses it."""
        self._append("l", record)

    def open(self, record: OpenRecord) -> None:
        """Watch a run that has begun: if it lasts, its states so far are delivered before it ends."""
        self._open[id(record)] = (monotonic(), record)
        if self._thread is None:
            self._start()

    def close_record(self, record: OpenRecord) -> None:
        """Stop watching a run that has ended, and keep what of its record was not handed out yet."""
        self._open.pop(id(record), None)
        payload = record.unsent()
        if payload is not None:
            self._append("t", payload)

    def forget(self, record: OpenRecord) -> None:
        """Stop watching a run whose record is kept by another process."""
        self._open.pop(id(record), None)

    def _append(self, kind: str, record: Json) -> None:
        line = _encode((kind, record)).encode("utf-8", "surrogatepass") + b"\n"
        with self._append_lock:
            try:
                self._file.append(line)
            except OSError as error:
                raise _unusable(self._file.path, error) from error
            self._queue.append((kind, record))
            self._appended += 1
        if self._thread is None:
            self._start()
        if len(self._queue) >= BACKLOG_RECORDS_MAX:
            self.flush()

    # --- delivery ----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Deliver everything that was appended before this call, in this thread. Raises what the store raises."""
        with self._delivery_lock:
            goal = len(self._queue)
            while goal > 0 and self._queue:
                goal -= self._deliver_batch()
            self._failure = None

    def _deliver_batch(self) -> int:
        count = min(len(self._queue), BATCH_RECORDS_MAX)
        if not count:
            return 0
        batch = [self._queue[index] for index in range(count)]
        drive(self._client.call(_record_endpoint(), _as_body(batch)))
        with self._append_lock:
            for _ in range(count):
                self._queue.popleft()
            self._delivered += count
            self._make_room()
        return count

    def _make_room(self) -> None:
        """Drop what was delivered from the disk: empty the file when it holds nothing else, start another when it has grown."""
        while self._retired and self._retired[0][0] <= self._delivered:
            self._retired.popleft()[1].remove()
        if not self._queue:
            self._file.empty()
        elif self._file.size_bytes >= FILE_BYTES_MAX:
            number = int(self._file.path.name.split(".")[1]) + 1
            fresh = _File(self.folder / f"{self.owner_id}.{number}{FILE_SUFFIX}")
            self._retired.append((self._appended, self._file))
            self._file = fresh

    def _start(self) -> None:
        with self._append_lock:
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._deliver_for_ever, name="headrace-spool", daemon=True)
                self._thread.start()

    def _deliver_for_ever(self) -> None:
        while not self._wake.wait(DELIVERY_INTERVAL_SECONDS):
            try:
                self._announce()
                if self._queue:
                    self.flush()
            except Exception as error:  # noqa: BLE001  # a thread's border: kept, and raised by the next flush that fails too
                self._failure = error

    def _announce(self) -> None:
        if not self._open:
            return
        before = monotonic() - ANNOUNCE_AFTER_SECONDS
        for key in self._oldest_open():
            since, record = self._open.get(key, (before, None))
            if since > before:
                break
            self._open.pop(key, None)
            payload = record.unsent() if record is not None else None
            if payload is not None:
                self._append("t", payload)

    def _oldest_open(self) -> list[int]:
        """Return the keys of the records that have been open longest; the rest of a crowd is announced later, or ends before."""
        try:
            return list(islice(self._open, ANNOUNCED_AT_ONCE_MAX))
        except RuntimeError:
            return []  # one was added or removed meanwhile: the next look comes soon

    def close(self) -> None:
        """Deliver what is left and remove the file. What cannot be delivered stays on disk for the next process."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        try:
            self.flush()
        finally:
            for _, file in self._retired:
                file.close()
            if self._queue:
                self._file.close()
            else:
                self._file.remove()


class _File:
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

    def empty(self) -> None:
        """Forget all lines."""
        if self.size_bytes:
            os.ftruncate(self._fd, 0)
            self.size_bytes = 0

    def close(self) -> None:
        """Let go of the file; what is in it is for the next process."""
        os.close(self._fd)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        os.close(self._fd)


def recover(folder: Path, client: Client) -> int:
    """Deliver what dead processes left in `folder`, and mark their unfinished runs Crashed. Returns how many owners were dead.

    A file whose owner lives is locked, this process's own too, and left alone.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(FILE_SUFFIX))
    except FileNotFoundError:
        return 0
    owners = dict.fromkeys(name.split(".")[0] for name in names)
    return sum(_recover_owner(UUID(owner), [folder / name for name in names if name.startswith(owner)], client) for owner in owners)


def _recover_owner(owner: UUID, files: list[Path], client: Client) -> bool:
    """Take over all files of an owner if it is dead. Its runs are marked only when all its records are delivered."""
    with ExitStack() as held:
        descriptors: list[int] = []
        for file in files:
            try:
                descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False  # its owner lives, another process is at it, or it is another user's
            if not file.exists():
                return False  # another process was quicker
            descriptors.append(descriptor)
        for descriptor in descriptors:
            with os.fdopen(os.dup(descriptor), "rb") as lines:
                records = _read(lines.read())
            for start in range(0, len(records), BATCH_RECORDS_MAX):
                drive(client.call(_record_endpoint(), _as_body(records[start : start + BATCH_RECORDS_MAX])))
        drive(client.call(_crash_endpoint(), id=owner))
        for file in files:
            file.unlink(missing_ok=True)
    return True


def _read(content: bytes) -> list[tuple[str, Json]]:
    """Return the records of a spool file; a last line that was cut off by the death of its writer is left out."""
    whole, _, _ = content.rpartition(b"\n")
    return [tuple(json.loads(line)) for line in whole.split(b"\n") if line]  # type: ignore[misc]  # pairs, by `_append`


def _as_body(batch: list[tuple[str, Json]]) -> dict[str, list[Json]]:
    return {
        "task_runs": [record for kind, record in batch if kind == "t"],
        "logs": [record for kind, record in batch if kind == "l"],
    }


def _record_endpoint() -> Any:
    from headrace.model.endpoints.records import RECORD

    return RECORD


def _crash_endpoint() -> Any:
    from headrace.model.endpoints.owners import CRASH_OWNED_RUNS

    return CRASH_OWNED_RUNS


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"headrace cannot write to {str(path)!r} ({error.strerror}), so runs could not be recorded. "
        "Free some space or make the folder writable, or set HEADRACE_HOME to another folder."
    )


# --- the spool of this process -----------------------------------------------------------------------------------------

_spool: Spool | None = None
_spool_lock = Lock()


def process_spool(open_spool: Callable[[], Spool]) -> Spool:
    """Return this process's spool, made by `open_spool` at the first call and closed when the process ends."""
    global _spool
    if _spool is None:
        with _spool_lock:
            if _spool is None:
                _spool = open_spool()
                atexit.register(close_process_spool)
    return _spool


def close_process_spool() -> None:
    """Deliver and remove this process's spool, if there is one; the next run makes a new one."""
    global _spool
    with _spool_lock:
        spool, _spool = _spool, None
    if spool is not None:
        try:
            spool.close()
        except StoreError as error:  # the process ends: say what was not delivered, and where it waits
            logging.getLogger("headrace.client").error("Some records wait in %s for the next process. %s", spool.folder, error)


def _after_fork() -> None:
    # The child has neither the delivery thread nor the right to the parent's file.
    global _spool, _spool_lock
    _spool = None
    _spool_lock = Lock()


os.register_at_fork(after_in_child=_after_fork)
