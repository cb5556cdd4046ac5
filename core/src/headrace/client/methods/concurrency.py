"""Documented client methods on concurrency limits and their slots.

Where the documented methods answer with an HTTP response, these answer with what is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from headrace.model.endpoints import concurrency as endpoints

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.concurrency import (
        ConcurrencyLeaseHolder,
        ConcurrencyLimit,
        ConcurrencyLimitV2Create,
        ConcurrencyLimitV2Update,
        ConcurrencyLimitWithLeaseResponse,
        GlobalConcurrencyLimitResponse,
        MinimalConcurrencyLimitResponse,
        SlotMode,
    )


class ConcurrencyMethods:
    """Limits with names and limits of tags, for a client that has `call`."""

    # --- limits with names

    async def create_global_concurrency_limit(self: Client, concurrency_limit: ConcurrencyLimitV2Create) -> UUID:
        """Create a limit and return its id. Raises `ObjectAlreadyExists` when the name is taken."""
        return (await self.call(endpoints.CREATE_LIMIT, concurrency_limit)).id

    async def read_global_concurrency_limit_by_name(self: Client, name: str) -> GlobalConcurrencyLimitResponse:
        """Return the limit of that name. Raises `ObjectNotFound`."""
        return await self.call(endpoints.READ_LIMIT, id_or_name=name)

    async def read_global_concurrency_limits(self: Client, limit: int = 10, offset: int = 0) -> list[GlobalConcurrencyLimitResponse]:
        """Return limits by name, at most `limit`."""
        from headrace.model.concurrency import FilterConcurrencyLimits

        return await self.call(endpoints.FILTER_LIMITS, FilterConcurrencyLimits(limit=limit, offset=offset))

    async def update_global_concurrency_limit(self: Client, name: str, concurrency_limit: ConcurrencyLimitV2Update) -> None:
        """Change what is given of a limit. Raises `ObjectNotFound`."""
        await self.call(endpoints.UPDATE_LIMIT, concurrency_limit, id_or_name=name)

    async def upsert_global_concurrency_limit_by_name(self: Client, name: str, limit: int, slot_decay_per_second: float | None = None) -> None:
        """Create the limit of that name, or change its limit and, if given, its decay."""
        from headrace.model.concurrency import ConcurrencyLimitV2Create, ConcurrencyLimitV2Update
        from headrace.model.errors import ObjectAlreadyExists

        try:
            await self.call(
                endpoints.CREATE_LIMIT,
                ConcurrencyLimitV2Create(name=name, limit=limit, slot_decay_per_second=slot_decay_per_second or 0.0),
            )
        except ObjectAlreadyExists:
            change = ConcurrencyLimitV2Update(limit=limit, slot_decay_per_second=slot_decay_per_second)
            await self.call(endpoints.UPDATE_LIMIT, change, id_or_name=name)

    async def delete_global_concurrency_limit_by_name(self: Client, name: str) -> None:
        """Delete the limit of that name. Raises `ObjectNotFound`."""
        await self.call(endpoints.DELETE_LIMIT, id_or_name=name)

    # --- slots

    async def increment_concurrency_slots(
        self: Client, names: list[str], slots: int, mode: SlotMode = "concurrency"
    ) -> list[MinimalConcurrencyLimitResponse]:
        """Take slots of every limit in `names`, all or none, until they are given back. Raises `SlotsUnavailable`, `InvalidRequest`."""
        from headrace.model.concurrency import IncrementSlots

        return await self.call(endpoints.INCREMENT_SLOTS, IncrementSlots(names=names, slots=slots, mode=mode))

    async def increment_concurrency_slots_with_lease(
        self: Client,
        names: list[str],
        slots: int,
        mode: SlotMode,
        lease_duration: float,
        holder: ConcurrencyLeaseHolder | None = None,
    ) -> ConcurrencyLimitWithLeaseResponse:
        """Take slots of every limit in `names`, all or none, for `lease_duration` seconds. Raises `SlotsUnavailable`, `InvalidRequest`."""
        from headrace.model.concurrency import IncrementSlotsWithLease

        body = IncrementSlotsWithLease(names=names, slots=slots, mode=mode, lease_duration=lease_duration, holder=holder)
        return await self.call(endpoints.INCREMENT_SLOTS_WITH_LEASE, body)

    async def release_concurrency_slots(
        self: Client, names: list[str], slots: int, occupancy_seconds: float
    ) -> list[MinimalConcurrencyLimitResponse]:
        """Give back slots that were taken without a lease and held for `occupancy_seconds`."""
        from headrace.model.concurrency import DecrementSlots

        body = DecrementSlots(names=names, slots=slots, occupancy_seconds=occupancy_seconds or None)
        return await self.call(endpoints.DECREMENT_SLOTS, body)

    async def release_concurrency_slots_with_lease(self: Client, lease_id: UUID) -> None:
        """Give back all that a lease holds. An unknown lease is no error."""
        from headrace.model.concurrency import ReleaseLease

        await self.call(endpoints.DECREMENT_SLOTS_WITH_LEASE, ReleaseLease(lease_id=lease_id))

    async def renew_concurrency_lease(self: Client, lease_id: UUID, lease_duration: float) -> None:
        """Hold on to a lease for `lease_duration` seconds from now. Raises `LeaseGone`."""
        from headrace.model.concurrency import RenewLease

        await self.call(endpoints.RENEW_LEASE, RenewLease(lease_duration=lease_duration), lease_id=lease_id)

    # --- limits of tags

    async def create_concurrency_limit(self: Client, tag: str, concurrency_limit: int) -> UUID:
        """Limit how many tasks with `tag` run at once, or change that, and return the limit's id."""
        from headrace.model.concurrency import ConcurrencyLimitCreate

        return (await self.call(endpoints.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag=tag, concurrency_limit=concurrency_limit))).id

    async def read_concurrency_limit_by_tag(self: Client, tag: str) -> ConcurrencyLimit:
        """Return the limit of a tag. Raises `ObjectNotFound`."""
        return await self.call(endpoints.READ_TAG_LIMIT_BY_TAG, tag=tag)

    async def read_concurrency_limits(self: Client, limit: int, offset: int) -> list[ConcurrencyLimit]:
        """Return limits of tags, by tag."""
        from headrace.model.concurrency import FilterConcurrencyLimits

        return await self.call(endpoints.FILTER_TAG_LIMITS, FilterConcurrencyLimits(limit=limit, offset=offset))

    async def reset_concurrency_limit_by_tag(self: Client, tag: str, slot_override: list[UUID | str] | None = None) -> None:
        """Free all slots of a tag but those of the task runs in `slot_override`. Raises `ObjectNotFound`."""
        from headrace.model.concurrency import ResetTagLimit

        kept = [UUID(str(task_run_id)) for task_run_id in slot_override] if slot_override is not None else None
        await self.call(endpoints.RESET_TAG_LIMIT, ResetTagLimit(slot_override=kept), tag=tag)

    async def delete_concurrency_limit_by_tag(self: Client, tag: str) -> None:
        """Delete the limit of a tag. Raises `ObjectNotFound`."""
        await self.call(endpoints.DELETE_TAG_LIMIT_BY_TAG, tag=tag)

    async def increment_v1_concurrency_slots(self: Client, names: list[str], task_run_id: UUID) -> list[MinimalConcurrencyLimitResponse]:
        """Take a slot of the limit of each tag in `names` for a task run, all or none. Raises `SlotsUnavailable`."""
        from headrace.model.concurrency import TagSlots

        return await self.call(endpoints.INCREMENT_TAG_SLOTS, TagSlots(names=names, task_run_id=task_run_id))

    async def decrement_v1_concurrency_slots(
        self: Client, names: list[str], task_run_id: UUID, occupancy_seconds: float
    ) -> list[MinimalConcurrencyLimitResponse]:
        """Give back a task run's slots of the limits of the tags in `names`."""
        from headrace.model.concurrency import TagSlots

        return await self.call(endpoints.DECREMENT_TAG_SLOTS, TagSlots(names=names, task_run_id=task_run_id))
