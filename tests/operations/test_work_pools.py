"""Work pools and their queues: made, found, changed, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from headrace.model.endpoints import work_pools as pools
from headrace.model.endpoints import work_queues as queues
from headrace.model.endpoints import workers
from headrace.model.errors import InvalidRequest, ObjectAlreadyExists, ObjectNotFound
from headrace.model.work_pools import FilterWorkPools, WorkPool, WorkPoolCreate, WorkPoolUpdate
from headrace.model.work_queues import FilterWorkQueues, WorkQueueCreate, WorkQueueUpdate
from headrace.model.workers import FilterWorkers, WorkerHeartbeat

TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": {"A": "{{ prefect.variables.a }}"}, "limits": {"cpu": "{{ cpu }}"}},
    "variables": {"type": "object", "properties": {"command": {"type": "string"}, "cpu": {"type": "integer", "default": 1}}},
}


@pytest.fixture
def pool(call: Callable[..., Any]) -> WorkPool:
    """A pool without a limit."""
    return call(pools.CREATE_WORK_POOL, WorkPoolCreate(name="p", type="process", base_job_template=TEMPLATE))


def priorities(call: Callable[..., Any]) -> dict[str, int]:
    """Return the priorities of the pool's queues, first to last."""
    return {queue.name: queue.priority for queue in call(queues.FILTER_POOL_QUEUES, work_pool_name="p")}


def add_queue(call: Callable[..., Any], name: str, priority: int | None = None) -> None:
    """Add a queue to the pool."""
    call(queues.CREATE_POOL_QUEUE, WorkQueueCreate(name=name, priority=priority), work_pool_name="p")


def test_a_new_pool_has_a_default_queue_and_is_not_ready(call: Callable[..., Any], pool: WorkPool) -> None:
    (queue,) = call(queues.FILTER_POOL_QUEUES, work_pool_name="p")
    assert (queue.id, queue.name, queue.priority, queue.status) == (pool.default_queue_id, "default", 1, "NOT_READY")
    assert (pool.status, pool.base_job_template, pool.active_slots) == ("NOT_READY", TEMPLATE, None)
    assert call(pools.READ_WORK_POOL, name="p").model_dump() == pool.model_dump()


def test_names_are_taken_once_and_some_are_reserved(call: Callable[..., Any], pool: WorkPool) -> None:
    with pytest.raises(ObjectAlreadyExists, match="A work pool with this name already exists"):
        call(pools.CREATE_WORK_POOL, WorkPoolCreate(name="p"))
    with pytest.raises(InvalidRequest, match="starting with 'Prefect' are reserved") as refused:
        call(pools.CREATE_WORK_POOL, WorkPoolCreate(name="Prefect-pool"))
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"variables": {"properties": {}}}, "must contain both"),
        ({"job_configuration": {"a": "{{ x }}"}, "variables": {}}, "must contain both"),
        ({"job_configuration": {"a": ["{{ x }}", "{{ y }}"]}, "variables": {"properties": {"y": {}}}}, "does not declare: x"),
    ],
)
def test_a_template_that_is_not_whole_is_refused(template: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        WorkPoolCreate(name="p", base_job_template=template)
    with pytest.raises(ValidationError, match=reason):
        WorkPoolUpdate(base_job_template=template)


def test_a_default_must_fit_its_variable(call: Callable[..., Any]) -> None:
    template = {"job_configuration": {"cpu": "{{ cpu }}"}, "variables": {"properties": {"cpu": {"type": "integer", "default": "many"}}}}
    with pytest.raises(InvalidRequest, match="cpu is 'many', not of type integer"):
        call(pools.CREATE_WORK_POOL, WorkPoolCreate(name="p", base_job_template=template))


def test_a_default_that_is_a_block_must_exist(call: Callable[..., Any]) -> None:
    reference = {"$ref": {"block_document_id": "01a1fbcc-b1e8-77dd-97cd-918829cb4173"}}
    template = {"job_configuration": {"b": "{{ b }}"}, "variables": {"properties": {"b": {"type": "object", "default": reference}}}}
    with pytest.raises(ObjectNotFound, match="Block not found"):
        call(pools.CREATE_WORK_POOL, WorkPoolCreate(name="p", base_job_template=template))


def test_fields_that_are_not_given_stay(call: Callable[..., Any], pool: WorkPool) -> None:
    call(pools.UPDATE_WORK_POOL, WorkPoolUpdate(description="d", concurrency_limit=2), name="p")
    call(pools.UPDATE_WORK_POOL, WorkPoolUpdate(concurrency_limit=None), name="p")
    changed = call(pools.READ_WORK_POOL, name="p")
    assert (changed.description, changed.concurrency_limit, changed.base_job_template) == ("d", None, TEMPLATE)


def test_pausing_and_resuming_tell_in_the_status(call: Callable[..., Any], pool: WorkPool) -> None:
    def status(paused: bool) -> str:
        call(pools.UPDATE_WORK_POOL, WorkPoolUpdate(is_paused=paused), name="p")
        return call(pools.READ_WORK_POOL, name="p").status

    assert [status(True), status(False)] == ["PAUSED", "NOT_READY"]
    call(workers.WORKER_HEARTBEAT, WorkerHeartbeat(name="w"), work_pool_name="p")
    assert call(pools.READ_WORK_POOL, name="p").status == "READY"
    assert [status(True), status(False)] == ["PAUSED", "READY"]


def test_pools_are_listed_and_counted_by_filter(call: Callable[..., Any], pool: WorkPool) -> None:
    call(pools.CREATE_WORK_POOL, WorkPoolCreate(name="k", type="kubernetes"))
    wanted = {"operator": "or_", "name": {"any_": ["p"]}, "type": {"any_": ["kubernetes"]}}
    body = FilterWorkPools.model_validate({"work_pools": wanted, "limit": None, "offset": None})
    assert [found.name for found in call(pools.FILTER_WORK_POOLS, body)] == ["k", "p"]
    assert call(pools.COUNT_WORK_POOLS, FilterWorkPools.model_validate({"work_pools": {**wanted, "operator": "and_"}})) == 0


def test_deleting_a_pool_takes_queues_and_workers_along(call: Callable[..., Any], pool: WorkPool) -> None:
    call(workers.WORKER_HEARTBEAT, WorkerHeartbeat(name="w"), work_pool_name="p")
    call(pools.DELETE_WORK_POOL, name="p")
    assert call(queues.FILTER_WORK_QUEUES) == []
    with pytest.raises(ObjectNotFound, match='Work pool "p" not found'):
        call(workers.FILTER_WORKERS, work_pool_name="p")


# --- queues -----------------------------------------------------------------------------------------------------------


def test_a_queue_gets_the_first_free_priority(call: Callable[..., Any], pool: WorkPool) -> None:
    add_queue(call, "late", 5)
    add_queue(call, "next")
    assert priorities(call) == {"default": 1, "next": 2, "late": 5}


def test_a_given_priority_moves_those_in_its_way(call: Callable[..., Any], pool: WorkPool) -> None:
    add_queue(call, "b")
    add_queue(call, "far", 9)
    add_queue(call, "first", 1)
    assert priorities(call) == {"first": 1, "default": 2, "b": 3, "far": 9}
    call(queues.UPDATE_POOL_QUEUE, WorkQueueUpdate(priority=1), work_pool_name="p", name="b")
    assert priorities(call) == {"b": 1, "first": 2, "default": 3, "far": 9}


def test_deleting_a_queue_closes_the_gap(call: Callable[..., Any], pool: WorkPool) -> None:
    add_queue(call, "b")
    add_queue(call, "c")
    call(queues.DELETE_POOL_QUEUE, work_pool_name="p", name="b")
    assert priorities(call) == {"default": 1, "c": 2}


def test_the_default_queue_stays(call: Callable[..., Any], pool: WorkPool) -> None:
    with pytest.raises(InvalidRequest, match="default queue of work pool 'p'") as refused:
        call(queues.DELETE_POOL_QUEUE, work_pool_name="p", name="default")
    assert refused.value.status == 409


def test_queue_names_are_taken_once_in_a_pool(call: Callable[..., Any], pool: WorkPool) -> None:
    add_queue(call, "b")
    with pytest.raises(ObjectAlreadyExists, match="'b' already exists in work pool 'p'"):
        add_queue(call, "b")
    with pytest.raises(ObjectAlreadyExists, match="'default' already exists in work pool 'p'"):
        call(queues.UPDATE_POOL_QUEUE, WorkQueueUpdate(name="default"), work_pool_name="p", name="b")
    with pytest.raises(ObjectNotFound, match="p/none"):
        call(queues.READ_POOL_QUEUE, work_pool_name="p", name="none")


def test_a_queue_without_a_pool_is_found_by_its_name(call: Callable[..., Any]) -> None:
    made = call(queues.CREATE_WORK_QUEUE, WorkQueueCreate(name="old"))
    assert made.work_pool_name == "default-agent-pool"
    assert call(queues.READ_WORK_QUEUE_BY_NAME, name="old").id == made.id
    call(queues.UPDATE_WORK_QUEUE, WorkQueueUpdate(description="d", is_paused=True), id=made.id)
    changed = call(queues.READ_WORK_QUEUE, id=made.id)
    assert (changed.description, changed.is_paused, changed.status) == ("d", True, "PAUSED")
    call(queues.DELETE_WORK_QUEUE, id=made.id)
    with pytest.raises(ObjectNotFound, match="Work queue 'old' not found"):
        call(queues.READ_WORK_QUEUE_BY_NAME, name="old")


def test_queues_of_all_pools_are_listed_by_name(call: Callable[..., Any], pool: WorkPool) -> None:
    add_queue(call, "beta")
    add_queue(call, "alpha")
    call(queues.CREATE_WORK_QUEUE, WorkQueueCreate(name="alphabet"))
    body = FilterWorkQueues.model_validate({"work_queues": {"name": {"startswith_": ["alpha", "x"]}}})
    assert [queue.name for queue in call(queues.FILTER_WORK_QUEUES, body)] == ["alpha", "alphabet"]
    assert [queue.name for queue in call(queues.FILTER_POOL_QUEUES, body, work_pool_name="p")] == ["alpha"]


# --- workers ----------------------------------------------------------------------------------------------------------


def test_a_worker_is_known_by_its_name_in_the_pool(call: Callable[..., Any], pool: WorkPool) -> None:
    for interval in (30, None):
        call(workers.WORKER_HEARTBEAT, WorkerHeartbeat(name="w", heartbeat_interval_seconds=interval), work_pool_name="p")
    (worker,) = call(workers.FILTER_WORKERS, work_pool_name="p")
    assert (worker.name, worker.status, worker.heartbeat_interval_seconds, worker.work_pool_id) == ("w", "ONLINE", 30, pool.id)
    assert call(workers.FILTER_WORKERS, FilterWorkers.model_validate({"workers": {"status": {"not_any_": ["ONLINE"]}}}), work_pool_name="p") == []
    call(workers.DELETE_WORKER, work_pool_name="p", name="w")
    with pytest.raises(ObjectNotFound, match="Worker not found"):
        call(workers.DELETE_WORKER, work_pool_name="p", name="w")
