"""Concurrency slots whose holder is gone."""

from __future__ import annotations

from uuid import UUID

import pytest

from headrace.model import ids
from headrace.model.concurrency import ConcurrencyLimitV2Create, IncrementSlotsWithLease, RenewLease
from headrace.model.endpoints import concurrency as endpoints
from headrace.model.errors import LeaseGone
from headrace.model.states import StateType
from headrace.server.services.repossessor import Repossessor
from server.services.world import World


def take(world: World, seconds: float = 60, holder: dict[str, object] | None = None) -> UUID:
    body = IncrementSlotsWithLease.model_validate({"slots": 1, "names": ["db"], "lease_duration": seconds, "holder": holder})
    return world.call(endpoints.INCREMENT_SLOTS_WITH_LEASE, body).lease_id


def leases(world: World) -> int:
    return world.rows("SELECT COUNT(*) FROM concurrency_lease")[0][0]


def test_expired_lease_is_revoked_and_its_time_remembered(world: World) -> None:
    world.call(endpoints.CREATE_LIMIT, ConcurrencyLimitV2Create(name="db", limit=2))
    expiring, renewed = take(world), take(world)
    world.clock.pass_time(50)
    world.call(endpoints.RENEW_LEASE, RenewLease(lease_duration=60), lease_id=renewed)
    world.clock.pass_time(20)
    average = world.rows("SELECT avg_slot_occupancy_seconds FROM concurrency_limit")[0][0]
    world.round(Repossessor)
    assert leases(world) == 1
    assert world.call(endpoints.READ_LIMIT, id_or_name="db").active_slots == 1
    assert world.rows("SELECT avg_slot_occupancy_seconds FROM concurrency_limit")[0][0] > average
    with pytest.raises(LeaseGone):
        world.call(endpoints.RENEW_LEASE, RenewLease(lease_duration=60), lease_id=expiring)


def test_lease_of_an_ended_run_is_revoked(world: World) -> None:
    world.call(endpoints.CREATE_LIMIT, ConcurrencyLimitV2Create(name="db", limit=5))
    ended, running = world.run(StateType.RUNNING), world.run(StateType.RUNNING)
    for run in (ended, running, ids.new()):  # the last is a task run that is not recorded yet
        take(world, 3600, {"type": "flow_run", "id": run})
    with world.database.write() as tx:  # it ended without a word to the limits, as after a crash of the database's host
        tx.sql("UPDATE flow_run SET end_time = ? WHERE id = ?", (world.clock.now_us(), ended.bytes))
    world.round(Repossessor)
    assert leases(world) == 3
    world.clock.pass_time(61)
    world.round(Repossessor)
    assert leases(world) == 2
