"""Slots of the limits of tags for a task run that the caller names: the older face, kept for code that was written for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from headrace.client.bridge import drive
from headrace.model.concurrency import LEASE_SECONDS_MIN, TAG_PREFIX, ConcurrencyLeaseHolder
from headrace.objects.leases import Lease
from headrace.objects.slots import acquire_slots, release


async def _acquire(names: str | list[str], task_run_id: UUID | None, timeout_seconds: float | None) -> Lease | None:
    tags = [names] if isinstance(names, str) else names
    holder = None if task_run_id is None else ConcurrencyLeaseHolder(type="task_run", id=task_run_id)
    return await acquire_slots([TAG_PREFIX + tag for tag in tags], timeout_seconds=timeout_seconds, lease_duration=LEASE_SECONDS_MIN, holder=holder)


@contextmanager
def concurrency(names: str | list[str], task_run_id: UUID | None = None, timeout_seconds: float | None = None) -> Generator[None, None, None]:
    """Hold a slot of the limit of each of the tags `names` for a task run while the block runs.

    Waits for `timeout_seconds`, for ever by default, and then raises `AcquireConcurrencySlotTimeoutError` (a `TimeoutError`).
    """
    lease = drive(_acquire(names, task_run_id, timeout_seconds))
    try:
        yield
    finally:
        if lease is not None:
            drive(release(lease))


@asynccontextmanager
async def concurrency_async(
    names: str | list[str], task_run_id: UUID | None = None, timeout_seconds: float | None = None
) -> AsyncGenerator[None, None]:
    """Hold a slot of the limit of each of the tags `names` for a task run while the block runs; see `concurrency`."""
    lease = await _acquire(names, task_run_id, timeout_seconds)
    try:
        yield
    finally:
        if lease is not None:
            await release(lease)
