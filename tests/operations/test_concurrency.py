"""Limits with names: what taking, giving back, expiry and setting by hand do to them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model import clock
from headrace.model.concurrency import (
    ConcurrencyLimitV2Create,
    ConcurrencyLimitV2Update,
    DecrementSlots,
    FilterConcurrencyLimits,
    IncrementSlots,
    IncrementSlotsWithLease,
    ReleaseLease,
    RenewLease,
)
from headrace.model.endpoints import concurrency as endpoints
from headrace.model.errors import InvalidRequest, LeaseGone, ObjectAlreadyExists, ObjectNotFound, SlotsUnavailable


class Later(clock.SystemClock):
    """The clock of the machine, ahead by what the test says."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead

    def now_us(self) -> int:
        return super().now_us() + self.ahead // timedelta(microseconds=1)


@pytest.fixture
def later() -> Any:
    with clock.use(Later()) as moved:
        yield moved


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


def create(name: str, limit: int, **values: Any) -> Any:
    return call(endpoints.CREATE_LIMIT, ConcurrencyLimitV2Create(name=name, limit=limit, **values))


def acquire(*names: str, slots: int = 1, seconds: float = 60, **values: Any) -> Any:
    return call(endpoints.INCREMENT_SLOTS_WITH_LEASE, IncrementSlotsWithLease(slots=slots, names=list(names), lease_duration=seconds, **values))


def active(name: str) -> int:
    return call(endpoints.READ_LIMIT, id_or_name=name).active_slots


def test_a_limit_is_read_by_name_and_by_id() -> None:
    made = create("db", 3, slot_decay_per_second=0.5)
    by_name = call(endpoints.READ_LIMIT, id_or_name="db")
    assert by_name == call(endpoints.READ_LIMIT, id_or_name=made.id)
    assert (by_name.limit, by_name.active, by_name.active_slots, by_name.slot_decay_per_second) == (3, True, 0, 0.5)


def test_two_limits_cannot_share_a_name() -> None:
    create("db", 1)
    create("other", 1)
    with pytest.raises(ObjectAlreadyExists, match="'db' already exists"):
        create("db", 2)
    with pytest.raises(ObjectAlreadyExists, match="'db' already exists"):
        call(endpoints.UPDATE_LIMIT, ConcurrencyLimitV2Update(name="db"), id_or_name="other")


@pytest.mark.parametrize("name", ["", "a/b", "50%", "a&b", "a<b"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="limit's name"):
        ConcurrencyLimitV2Create(name=name, limit=1)


def test_unknown_limits_are_not_found() -> None:
    for endpoint in (endpoints.READ_LIMIT, endpoints.DELETE_LIMIT):
        with pytest.raises(ObjectNotFound, match="Concurrency Limit not found"):
            call(endpoint, id_or_name="nope")


def test_a_full_limit_says_when_to_ask_again() -> None:
    create("db", 1)
    acquire("db")
    with pytest.raises(SlotsUnavailable, match=r"'db' \(1 of 1 slots taken\)") as refused:
        acquire("db")
    assert 0 < refused.value.retry_after <= 30


def test_slots_of_several_limits_are_taken_together_or_not_at_all() -> None:
    create("one", 1)
    create("two", 2)
    acquire("one")
    with pytest.raises(SlotsUnavailable):
        acquire("one", "two")
    assert (active("one"), active("two")) == (1, 0)


def test_giving_back_a_lease_frees_all_it_holds_and_twice_is_no_error() -> None:
    create("one", 1)
    create("two", 2)
    lease = acquire("one", "two")
    assert {limit.name for limit in lease.limits} == {"one", "two"}
    for _ in range(2):
        call(endpoints.DECREMENT_SLOTS_WITH_LEASE, ReleaseLease(lease_id=lease.lease_id))
    assert (active("one"), active("two")) == (0, 0)


def test_an_expired_lease_counts_for_nothing_and_cannot_be_renewed(later: Later) -> None:
    create("db", 1)
    lease = acquire("db", seconds=60)
    later.ahead = timedelta(seconds=59)
    assert active("db") == 1
    later.ahead = timedelta(seconds=61)
    assert active("db") == 0
    with pytest.raises(LeaseGone):
        call(endpoints.RENEW_LEASE, RenewLease(lease_duration=60), lease_id=lease.lease_id)
    assert acquire("db").limits[0].name == "db"


def test_a_renewed_lease_holds_on(later: Later) -> None:
    create("db", 1)
    lease = acquire("db", seconds=60)
    later.ahead = timedelta(seconds=50)
    call(endpoints.RENEW_LEASE, RenewLease(lease_duration=60), lease_id=lease.lease_id)
    later.ahead = timedelta(seconds=100)
    with pytest.raises(SlotsUnavailable):
        acquire("db")


def test_unknown_and_inactive_limits_limit_nothing() -> None:
    create("off", 1, active=False)
    for _ in range(3):
        assert acquire("off", "nope").limits == []
    with pytest.raises(LeaseGone):
        call(endpoints.RENEW_LEASE, RenewLease(), lease_id=acquire("nope").lease_id)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"slots": 2}, "Slots requested is greater than the limit"), ({"mode": "rate_limit"}, "Only concurrency limits with slot decay")],
)
def test_what_can_never_be_granted_is_an_error(values: dict[str, Any], message: str) -> None:
    create("db", 1)
    for endpoint, shape in ((endpoints.INCREMENT_SLOTS, IncrementSlots), (endpoints.INCREMENT_SLOTS_WITH_LEASE, IncrementSlotsWithLease)):
        with pytest.raises(InvalidRequest, match=message):
            call(endpoint, shape(**{"names": ["db"], "slots": 1, **values}))


@pytest.mark.parametrize("seconds", [59, 86_401])
def test_a_lease_lasts_a_minute_to_a_day(seconds: float) -> None:
    with pytest.raises(ValueError, match="lease_duration"):
        IncrementSlotsWithLease(names=["db"], slots=1, lease_duration=seconds)


def test_slots_can_be_taken_and_given_back_without_a_lease(later: Later) -> None:
    create("db", 3)
    call(endpoints.INCREMENT_SLOTS, IncrementSlots(names=["db"], slots=2))
    later.ahead = timedelta(days=2)
    assert active("db") == 2
    with pytest.raises(SlotsUnavailable):
        acquire("db", slots=2)
    call(endpoints.DECREMENT_SLOTS, DecrementSlots(names=["db"], slots=1, occupancy_seconds=5))
    assert active("db") == 1
    call(endpoints.DECREMENT_SLOTS, DecrementSlots(names=["db"], slots=9))
    assert active("db") == 0


def test_giving_back_without_a_lease_does_not_touch_leases() -> None:
    create("db", 3)
    acquire("db")
    call(endpoints.DECREMENT_SLOTS, DecrementSlots(names=["db"], slots=3))
    assert active("db") == 1


def test_active_slots_are_what_the_operator_says() -> None:
    create("db", 5, active_slots=4)
    assert active("db") == 4
    lease = acquire("db")
    assert active("db") == 5
    call(endpoints.UPDATE_LIMIT, ConcurrencyLimitV2Update(active_slots=2), id_or_name="db")
    assert active("db") == 2
    call(endpoints.RENEW_LEASE, RenewLease(), lease_id=lease.lease_id)  # the lease fits into the two
    call(endpoints.UPDATE_LIMIT, ConcurrencyLimitV2Update(active_slots=0), id_or_name="db")
    assert active("db") == 0
    with pytest.raises(LeaseGone):
        call(endpoints.RENEW_LEASE, RenewLease(), lease_id=lease.lease_id)


def test_an_update_changes_only_what_is_given() -> None:
    create("db", 5, slot_decay_per_second=1.5)
    call(endpoints.UPDATE_LIMIT, ConcurrencyLimitV2Update(limit=7, active=False), id_or_name="db")
    found = call(endpoints.READ_LIMIT, id_or_name="db")
    assert (found.name, found.limit, found.active, found.slot_decay_per_second) == ("db", 7, False, 1.5)


def test_a_rate_limit_refills_with_time(later: Later) -> None:
    create("api", 2, slot_decay_per_second=1)

    def take() -> Any:
        return call(endpoints.INCREMENT_SLOTS, IncrementSlots(names=["api"], slots=1, mode="rate_limit"))

    take()
    take()
    with pytest.raises(SlotsUnavailable):
        take()
    assert active("api") == 2
    later.ahead = timedelta(seconds=1.1)
    assert active("api") == 1
    take()
    with pytest.raises(SlotsUnavailable):
        take()


def test_a_lease_on_a_decaying_limit_gives_back_what_has_not_decayed(later: Later) -> None:
    create("api", 4, slot_decay_per_second=0.1)
    lease = acquire("api", slots=4)
    later.ahead = timedelta(seconds=10)
    assert active("api") == 3
    call(endpoints.DECREMENT_SLOTS_WITH_LEASE, ReleaseLease(lease_id=lease.lease_id))
    assert active("api") == 0


def test_the_average_occupancy_follows_the_leases(later: Later) -> None:
    create("db", 1)
    create_answer = acquire("db")
    later.ahead = timedelta(seconds=42)
    call(endpoints.DECREMENT_SLOTS_WITH_LEASE, ReleaseLease(lease_id=create_answer.lease_id))
    acquire("db")
    with pytest.raises(SlotsUnavailable) as refused:
        acquire("db")
    assert 10 < refused.value.retry_after <= 30  # (2 + (42 - 2) / 2) seconds, half of it at least


def test_lists_are_ordered_by_name_and_paged() -> None:
    for name in ("c", "a", "b"):
        create(name, 1)
    listed = call(endpoints.FILTER_LIMITS, FilterConcurrencyLimits(offset=1, limit=2))
    assert [limit.name for limit in listed] == ["b", "c"]
    with pytest.raises(InvalidRequest, match="less than or equal to 200"):
        call(endpoints.FILTER_LIMITS, FilterConcurrencyLimits(limit=201))


def test_deleting_a_limit_forgets_who_holds_it() -> None:
    create("db", 2, active_slots=1)
    lease = acquire("db")
    call(endpoints.DELETE_LIMIT, id_or_name="db")
    create("db", 2)
    assert active("db") == 0
    call(endpoints.DECREMENT_SLOTS_WITH_LEASE, ReleaseLease(lease_id=lease.lease_id))


def test_releasing_an_unknown_lease_is_no_error(home: object) -> None:
    assert call(endpoints.DECREMENT_SLOTS_WITH_LEASE, ReleaseLease(lease_id=uuid4())) is None
