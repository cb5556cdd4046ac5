"""Keeping leases alive: one daemon thread for each process renews all that it holds, each after three quarters of its duration."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from headrace.client.bridge import drive, in_blocking_run
from headrace.client.interface import Client
from headrace.model import clock
from headrace.model.concurrency import RenewLease
from headrace.model.endpoints.concurrency import RENEW_LEASE
from headrace.model.errors import ConcurrencySlotAcquisitionError, HeadraceException, LeaseGone
from headrace.model.events import Event

RENEW_AFTER = 0.75  # of the duration
RENEW_ATTEMPTS_MAX = 3
RETRY_SECONDS = 1.0  # doubled after each attempt

logger = logging.getLogger("headrace.concurrency")


@dataclass(eq=False, slots=True)
class Lease:
    """Slots that this process holds. `limits` are (id, name, limit) of each; `lost` is why it is not held any more."""

    id: UUID
    client: Client
    duration_seconds: float
    slots: int
    limits: tuple[tuple[UUID, str, int], ...]
    interrupt: Callable[[], None] | None = None
    lost: HeadraceException | None = None
    events: dict[UUID, Event] = field(default_factory=dict[UUID, Event])
    due: float = 0.0
    keeper: _Keeper | None = None


class _Keeper:
    """The leases of one process and the thread that renews them."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.changed = threading.Condition()
        self.leases: set[Lease] = set()
        self.thread: threading.Thread | None = None

    def keep(self, lease: Lease) -> None:
        """Renew `lease` from now on."""
        lease.due = clock.monotonic() + RENEW_AFTER * lease.duration_seconds
        with self.changed:
            self.leases.add(lease)
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="headrace-leases", daemon=True)
                self.thread.start()
            self.changed.notify()

    def forget(self, lease: Lease) -> None:
        """Stop renewing `lease`."""
        with self.changed:
            self.leases.discard(lease)

    def _work(self) -> None:
        while True:
            with self.changed:
                next_due = min((lease.due for lease in self.leases), default=None)
                if next_due is None or next_due > clock.monotonic():
                    self.changed.wait(None if next_due is None else next_due - clock.monotonic())
                due = [lease for lease in self.leases if lease.due <= clock.monotonic()]
            for lease in due:
                self._renew(lease)

    def _renew(self, lease: Lease) -> None:
        body = RenewLease.model_construct(lease_duration=lease.duration_seconds)
        for attempt in range(RENEW_ATTEMPTS_MAX):
            try:
                drive(lease.client.call(RENEW_LEASE, body, lease_id=lease.id))
            except LeaseGone as error:
                return self._give_up(lease, error)
            except Exception as error:  # noqa: BLE001  # whatever keeps the renewal from being made, the block must hear of it
                if attempt == RENEW_ATTEMPTS_MAX - 1:
                    return self._give_up(lease, error)
                clock.sleep(RETRY_SECONDS * 2**attempt)
            else:
                lease.due = clock.monotonic() + RENEW_AFTER * lease.duration_seconds
                return None
        return None

    def _give_up(self, lease: Lease, error: Exception) -> None:
        names = ", ".join(repr(name) for _, name, _ in lease.limits)
        lost = ConcurrencySlotAcquisitionError(
            f"The slots of {names} are not held any more: their lease could not be renewed ({error}). Others may take them."
        )
        lost.__cause__ = error
        with self.changed:  # held while interrupting, so that a block which has ended (see `forget`) is never interrupted
            if lease not in self.leases:
                return
            self.leases.discard(lease)
            lease.lost = lost
            if lease.interrupt is not None:
                lease.interrupt()
        if lease.interrupt is None:
            logger.warning("%s The block goes on, since `raise_on_lease_renewal_failure` is off.", lost)


_keeper: _Keeper | None = None


def keep(lease: Lease) -> None:
    """Renew `lease` from now on, until `forget`. A child made by `fork` keeps its own leases and none of its parent's."""
    global _keeper
    if _keeper is None or _keeper.process != os.getpid():
        _keeper = _Keeper()
    lease.keeper = _keeper
    _keeper.keep(lease)


def forget(lease: Lease) -> None:
    """Stop renewing `lease`; its block is not interrupted from now on."""
    if lease.keeper is not None and lease.keeper.process == os.getpid():
        lease.keeper.forget(lease)


def interrupter() -> Callable[[], None]:
    """Return what stops the block that runs now from another thread: its asyncio task is cancelled, or an error is raised in its thread."""
    if not in_blocking_run():
        import asyncio

        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None

        def cancel() -> None:
            loop.call_soon_threadsafe(task.cancel)

        return cancel
    thread_id = threading.get_ident()
    return lambda: raise_in_thread(thread_id, ConcurrencySlotAcquisitionError)


def raise_in_thread(thread_id: int, error: type[BaseException] | None) -> None:
    """Have a thread raise `error` at its next Python instruction (a call into C ends first); None takes back what it has not raised yet.

    `PyThreadState_SetAsyncExc` in the C API of Python.
    """
    import ctypes

    value = ctypes.py_object() if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), value)
