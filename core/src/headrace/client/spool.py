"""The crash-safe outbox: task-run records, log lines and events on their way to the store.

A record is appended to this process's file before the call that made it returns, so a killed process loses nothing; one daemon
thread delivers records in batches, and a run's end delivers what is left. The file is locked by its owner for as long as it lives:
whoever can lock it knows that the owner is dead, delivers the rest and marks the owner's runs Crashed (`delivery.recover`).

A server may be away. Runs go on then: their records wait in the file and are delivered when it is back, by this process or by the next.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from threading import Event, Lock, RLock, Thread
from typing import Any, Protocol
from uuid import UUID

from headrace.client import bridge
from headrace.client.delivery import BATCH_RECORDS_MAX, deliver
from headrace.client.interface import Client, RemoteClient
from headrace.client.patience import patience, patience_seconds
from headrace.client.spool_file import FILE_SUFFIX, Json, Line, SpoolFile
from headrace.model import ids
from headrace.model.clock import monotonic
from headrace.model.errors import HeadraceException, HeadraceHTTPStatusError, ServerUnreachable, StoreError

DELIVERY_INTERVAL_SECONDS = 0.1
GATHER_SECONDS = 0.02
"""How long the first log line after a quiet time waits for others before it is sent to a server."""

AWAY_INTERVAL_SECONDS = 1.0
"""How often a server that is away is tried in the background."""

END_PATIENCE_SECONDS = 60.0
"""How long the end of a run waits for a server that is away. Then its records stay in the file."""

HEARTBEAT_SECONDS = 10.0
ANNOUNCE_AFTER_SECONDS = 0.05
BACKLOG_RECORDS_MAX = 2_000
"""When so many records wait, whoever appends another delivers them first: memory stays bounded however fast runs end."""

AWAY_RECORDS_MAX = 50_000
"""The same while a server is away: runs go on until so many records wait in memory, beside the file."""

ANNOUNCED_AT_ONCE_MAX = 100
FILE_BYTES_MAX = 4_000_000

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_logger = logging.getLogger("headrace.client")


class OpenRecord(Protocol):
    """A run whose record is still being written: delivered early when it lasts, so that it can be seen."""

    def unsent(self) -> dict[str, Any] | None:
        """Return the record with the states that were not handed out yet, or None when there are none."""
        ...


class Spool:
    """The outbox of this process for one database or server. Safe to use from any thread."""

    def __init__(self, folder: Path, client: Client) -> None:
        """Make the file in `folder` and lock it. Raises `StoreError` when the folder cannot be written."""
        self.owner_id: UUID = ids.new()
        self.folder = folder
        self._client = client
        self._remote = client if isinstance(client, RemoteClient) else None
        self._queue: deque[Line] = deque()
        self._open: dict[int, tuple[float, OpenRecord]] = {}
        self._append_lock = Lock()
        self._delivery_lock = RLock()
        self._wake = Event()
        self._is_gathering = False
        self._is_urgent = False
        self._closed = False
        self._failure: BaseException | None = None
        self._thread: Thread | None = None
        self._appended = 0
        self._delivered = 0
        self._delivered_at = 0.0
        self._beaten_at = -HEARTBEAT_SECONDS
        self._retired: deque[tuple[int, SpoolFile]] = deque()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = SpoolFile(folder / f"{self.owner_id}.0{FILE_SUFFIX}")
        except OSError as error:
            raise _unusable(folder, error) from error
        if self._remote is not None:
            self._remote.keep_end = self._keep_end

    # --- writing ---------------------------------------------------------------------------------------------------

    def append_log(self, record: list[Any]) -> None:
        """Keep a log line; on disk when this returns. Raises `StoreError` when the disk refuses it."""
        self._append("l", record)

    def append_event(self, record: dict[str, Any], waiting_max: int = 0) -> bool:
        """Keep an event, and have it sent at once. Returns False, and keeps nothing, when `waiting_max` records wait (0: no limit)."""
        if waiting_max and len(self._queue) >= waiting_max:
            return False
        self._is_urgent = True
        self._append("e", record)
        self._wake.set()
        return True

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
                if self._file.is_closed:  # a thread outlives the end of its process's spool
                    self._file = self._fresh_file()
                self._file.append(line)
            except OSError as error:
                raise _unusable(self._file.path, error) from error
            self._queue.append((kind, record))
            self._appended += 1
        if self._thread is None:
            self._start()
        if kind == "l" and self._remote is not None and not self._is_gathering and monotonic() - self._delivered_at > DELIVERY_INTERVAL_SECONDS:
            self._wake.set()
        if self._closed or len(self._queue) >= (BACKLOG_RECORDS_MAX if self._failure is None else AWAY_RECORDS_MAX):
            self.flush()

    def _keep_end(self, flow_run_id: UUID, proposal: bytes) -> str:
        self._append("s", [str(flow_run_id), json.loads(proposal)])
        return (
            f"The flow run's end and {len(self._queue) - 1} other records wait in {str(self.folder)!r} for the next process that reaches the server."
        )

    # --- delivery ----------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Deliver everything that was appended before this call, without blocking an event loop.

        A server that is away is waited for, `END_PATIENCE_SECONDS` at most. Then the records stay where they are and this returns: what follows
        tells the user. Raises what an embedded store raises.
        """
        if self._remote is None:
            self.flush()
            return
        try:
            if bridge.in_blocking_run():
                self.flush()
                return
            import asyncio

            await asyncio.to_thread(self.flush)
        except (ServerUnreachable, HeadraceHTTPStatusError) as error:
            self._failure = error

    def flush(self) -> None:
        """Deliver everything that was appended before this call, in this thread. Raises what the store raises, and `ServerUnreachable`."""
        if not self._queue:
            return
        given = patience_seconds()
        with patience(END_PATIENCE_SECONDS if given is None else given), self._delivery_lock:
            goal = len(self._queue)
            while goal > 0 and self._queue:
                goal -= self._deliver_batch()
            self._failure = None

    def _deliver_batch(self) -> int:
        count = min(len(self._queue), BATCH_RECORDS_MAX)
        if not count:
            return 0
        deliver(self._client, [self._queue[index] for index in range(count)])
        with self._append_lock:
            for _ in range(count):
                self._queue.popleft()
            self._delivered += count
            self._make_room()
        self._delivered_at = monotonic()
        return count

    def _make_room(self) -> None:
        """Drop what was delivered from the disk: empty the file when it holds nothing else, start another when it has grown."""
        while self._retired and self._retired[0][0] <= self._delivered:
            self._retired.popleft()[1].remove()
        if not self._queue:
            self._file.empty()
        elif self._file.size_bytes >= FILE_BYTES_MAX:
            fresh = self._fresh_file()
            self._retired.append((self._appended, self._file))
            self._file = fresh

    def _fresh_file(self) -> SpoolFile:
        number = int(self._file.path.name.split(".")[1]) + 1
        return SpoolFile(self.folder / f"{self.owner_id}.{number}{FILE_SUFFIX}")

    def _start(self) -> None:
        with self._append_lock:
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._deliver_for_ever, name="headrace-spool", daemon=True)
                self._thread.start()

    def _deliver_for_ever(self) -> None:
        while self._wait_for_work():
            try:
                with patience(0):
                    self._announce()
                    self._beat()
                    if self._queue:
                        self.flush()
                self._failure = None
            except Exception as error:  # noqa: BLE001  # a thread's border: kept, and raised by the next flush that fails too
                before, self._failure = self._failure, error
                if self._remote is not None:
                    if before is None:
                        _logger.warning("%s Runs go on; their records wait in %s until it answers.", error, self.folder)
                    self._wake.clear()
                    self._wake.wait(AWAY_INTERVAL_SECONDS)

    def _wait_for_work(self) -> bool:
        """Wait until there is something to do, a while at most. Returns False when the spool is closed."""
        if self._wake.wait(DELIVERY_INTERVAL_SECONDS) and not self._closed:
            self._wake.clear()
            self._is_gathering = True
            if not self._is_urgent:
                self._wake.wait(GATHER_SECONDS)
            self._is_gathering = self._is_urgent = False
        return not self._closed

    def _beat(self) -> None:
        """Tell the server that this process lives while runs of it are open there."""
        if self._remote is None or not self._remote.open_runs or monotonic() - self._beaten_at < HEARTBEAT_SECONDS:
            return
        from headrace.model.endpoints.owners import OWNER_HEARTBEAT

        bridge.drive(self._client.call(OWNER_HEARTBEAT, id=self.owner_id))
        self._beaten_at = monotonic()

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
        """Deliver what is left and remove the file. What cannot be delivered stays on disk for the next process.

        What a thread appends after that goes into another file, and is delivered by that thread.
        """
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        try:
            self.flush()
        finally:
            with self._append_lock:
                while self._retired:
                    self._retired.popleft()[1].close()
                if self._queue:
                    self._file.close()
                else:
                    self._file.remove()


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"headrace cannot write to {str(path)!r} ({error.strerror}), so runs could not be recorded. "
        "Free some space or make the folder writable, or set HEADRACE_HOME to another folder."
    )


# --- the spools of this process ----------------------------------------------------------------------------------------

_spools: dict[str, Spool] = {}
_spool_lock = Lock()


def process_spool(folder: str, find_client: Callable[[], Client]) -> Spool:
    """Return this process's spool in `folder`, made at the first call and closed when the process ends."""
    spool = _spools.get(folder)
    if spool is None:
        client = find_client()  # before the lock is taken: it may deliver what other processes left
        with _spool_lock:
            spool = _spools.get(folder)
            if spool is None:
                if not _spools:
                    atexit.register(close_process_spool)
                spool = _spools[folder] = Spool(Path(folder), client)
    return spool


def close_process_spool() -> None:
    """Deliver and remove this process's spools, if there are any; the next run makes a new one."""
    with _spool_lock:
        spools = list(_spools.values())
        _spools.clear()
    for spool in spools:
        try:
            spool.close()
        except HeadraceException as error:  # the process ends: say what was not delivered, and where it waits
            _logger.error("Some records wait in %s for the next process. %s", spool.folder, error)


def _after_fork() -> None:
    # The child has neither the delivery thread nor the right to the parent's file.
    global _spool_lock
    _spools.clear()
    _spool_lock = Lock()


os.register_at_fork(after_in_child=_after_fork)
