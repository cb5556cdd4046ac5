"""Limits of tags, the older face of limits with names."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model.concurrency import (
    ConcurrencyLimitCreate,
    ConcurrencyLimitV2Create,
    FilterConcurrencyLimits,
    IncrementSlotsWithLease,
    ResetTagLimit,
    TagSlots,
)
from headrace.model.endpoints import concurrency as endpoints
from headrace.model.errors import ObjectNotFound, SlotsUnavailable


def call(*args: Any, **parameters: Any) -> Any:
    return drive(current_client().call(*args, **parameters))


def create(tag: str, limit: int) -> Any:
    return call(endpoints.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag=tag, concurrency_limit=limit))


def increment(task_run_id: object, *tags: str) -> Any:
    return call(endpoints.INCREMENT_TAG_SLOTS, TagSlots(names=list(tags), task_run_id=task_run_id))


def decrement(task_run_id: object, *tags: str) -> Any:
    return call(endpoints.DECREMENT_TAG_SLOTS, TagSlots(names=list(tags), task_run_id=task_run_id))


def holders(tag: str) -> list[Any]:
    return call(endpoints.READ_TAG_LIMIT_BY_TAG, tag=tag).active_slots


def test_a_tag_limit_is_the_limit_named_after_the_tag() -> None:
    made = create("gpu", 2)
    assert call(endpoints.READ_LIMIT, id_or_name="tag:gpu").id == made.id
    assert call(endpoints.READ_TAG_LIMIT, id=made.id) == call(endpoints.READ_TAG_LIMIT_BY_TAG, tag="gpu") == made


def test_creating_a_tag_limit_again_changes_it() -> None:
    first, second = create("gpu", 2), create("gpu", 5)
    assert (second.id, second.created, second.concurrency_limit) == (first.id, first.created, 5)


def test_holders_are_listed_and_a_task_run_holds_one_slot_only() -> None:
    create("gpu", 2)
    one, two = uuid4(), uuid4()
    increment(one, "gpu")
    increment(one, "gpu")
    increment(two, "gpu")
    assert holders("gpu") == [one, two]
    with pytest.raises(SlotsUnavailable):
        increment(uuid4(), "gpu")
    decrement(one, "gpu")
    assert holders("gpu") == [two]


def test_slots_of_several_tags_are_taken_together_or_not_at_all() -> None:
    create("a", 1)
    create("b", 1)
    increment(uuid4(), "a")
    with pytest.raises(SlotsUnavailable):
        increment(uuid4(), "b", "a")
    assert holders("b") == []


def test_leases_of_task_runs_are_holders_too() -> None:
    create("gpu", 1)
    task_run_id = uuid4()
    holder = {"type": "task_run", "id": task_run_id}
    call(endpoints.INCREMENT_SLOTS_WITH_LEASE, IncrementSlotsWithLease(slots=1, names=["tag:gpu"], holder=holder))
    assert holders("gpu") == [task_run_id]


def test_a_limit_of_zero_lets_nothing_run() -> None:
    create("gpu", 0)
    with pytest.raises(SlotsUnavailable, match="'gpu' is 0"):
        increment(uuid4(), "gpu")


def test_a_reset_frees_all_slots_but_the_named_ones() -> None:
    create("gpu", 3)
    old, kept = uuid4(), uuid4()
    increment(old, "gpu")
    call(endpoints.RESET_TAG_LIMIT, ResetTagLimit(slot_override=[kept]), tag="gpu")
    assert holders("gpu") == [kept]
    call(endpoints.RESET_TAG_LIMIT, ResetTagLimit(), tag="gpu")
    assert holders("gpu") == []


def test_only_limits_of_tags_are_listed() -> None:
    call(endpoints.CREATE_LIMIT, ConcurrencyLimitV2Create(name="database", limit=1))
    create("gpu", 1)
    create("api", 1)
    assert [limit.tag for limit in call(endpoints.FILTER_TAG_LIMITS, FilterConcurrencyLimits())] == ["api", "gpu"]


def test_tag_limits_are_deleted_by_tag_and_by_id() -> None:
    create("a", 1)
    made = create("b", 1)
    call(endpoints.DELETE_TAG_LIMIT_BY_TAG, tag="a")
    call(endpoints.DELETE_TAG_LIMIT, id=made.id)
    assert call(endpoints.FILTER_TAG_LIMITS, FilterConcurrencyLimits()) == []


def test_unknown_tags_are_not_found_and_other_limits_are_no_tag_limits() -> None:
    other = call(endpoints.CREATE_LIMIT, ConcurrencyLimitV2Create(name="database", limit=1))
    with pytest.raises(ObjectNotFound, match="Concurrency limit not found"):
        call(endpoints.READ_TAG_LIMIT_BY_TAG, tag="nope")
    with pytest.raises(ObjectNotFound, match="Concurrency limit not found"):
        call(endpoints.READ_TAG_LIMIT, id=other.id)
