"""What workers are told to start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from headrace.model.endpoints import flow_runs as runs
from headrace.model.endpoints import work_pools as pools
from headrace.model.endpoints import work_queues as queues
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.errors import ObjectNotFound
from headrace.model.flow_runs import FlowRunCreate, FlowRunPolicy
from headrace.model.flows import FlowCreate
from headrace.model.orchestration import SetState
from headrace.model.run_queries import FlowRunQuery, HistoryQuery
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.work_pools import GetScheduledFlowRuns, PoolConcurrencyStatusQuery, WorkPoolCreate, WorkPoolUpdate
from headrace.model.work_queues import QueueRunsQuery, WorkQueueCreate, WorkQueueUpdate

Call = Callable[..., Any]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Site:
    """A pool with two queues, `default` before `later`, and a flow."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.flow_id: UUID = call(CREATE_FLOW, FlowCreate(name="f")).id
        call(pools.CREATE_WORK_POOL, WorkPoolCreate(name="p", type="process"))
        call(queues.CREATE_POOL_QUEUE, WorkQueueCreate(name="later"), work_pool_name="p")

    def run(self, name: str, queue: str | None = None, minute: int = 0, **fields: Any) -> UUID:
        """Schedule a run for a minute after noon."""
        when = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(scheduled_time=NOON + timedelta(minutes=minute)))
        body = FlowRunCreate(name=name, flow_id=self.flow_id, state=when, work_pool_name="p", work_queue_name=queue, **fields)
        return self.call(runs.CREATE_FLOW_RUN, body).id

    def told(self, **asked: Any) -> list[str]:
        """Ask as a worker does, for the names of the runs."""
        found = self.call(pools.GET_SCHEDULED_FLOW_RUNS, GetScheduledFlowRuns(**asked), name="p")
        return [one.flow_run.name for one in found]

    def start(self, run: UUID, *kinds: StateType) -> None:
        """Put a run in one state after the other."""
        for kind in kinds:
            self.call(runs.SET_FLOW_RUN_STATE, SetState(state=StateCreate(type=kind)), id=run)

    def queue(self, name: str, **changes: Any) -> None:
        """Change a queue."""
        self.call(queues.UPDATE_POOL_QUEUE, WorkQueueUpdate(**changes), work_pool_name="p", name=name)


@pytest.fixture
def site(call: Call) -> Site:
    """A pool to wait in."""
    return Site(call)


def test_runs_come_by_queue_and_then_by_time(site: Site) -> None:
    for name, queue, minute in (("d", "later", 0), ("c", "later", -9), ("b", None, 5), ("a", "default", 1)):
        site.run(name, queue, minute)
    assert site.told() == ["a", "b", "c", "d"]
    assert site.told(work_queue_names=["later"]) == ["c", "d"]
    assert site.told(limit=3) == ["a", "b", "c"]
    assert site.told(scheduled_before=NOON, scheduled_after=NOON) == ["d"]


def test_an_answer_names_pool_and_queue(site: Site) -> None:
    site.run("a", "later")
    (one,) = site.call(pools.GET_SCHEDULED_FLOW_RUNS, name="p")
    queue = site.call(queues.READ_POOL_QUEUE, work_pool_name="p", name="later")
    assert (one.work_pool_id, one.work_queue_id) == (queue.work_pool_id, queue.id)
    run = one.flow_run
    assert (run.work_queue_id, run.work_queue_name, run.work_pool_id, run.work_pool_name) == (queue.id, "later", queue.work_pool_id, "p")


def test_only_runs_that_wait_are_told(site: Site) -> None:
    site.start(site.run("pending"), StateType.PENDING)
    site.run("in process", empirical_policy=FlowRunPolicy(retry_type="in_process"))
    site.run("rescheduled", empirical_policy=FlowRunPolicy(retry_type="reschedule"))
    assert site.told() == ["rescheduled"]


def test_no_more_runs_are_told_than_the_pool_has_room_for(site: Site) -> None:
    first, second = site.run("1"), site.run("2", minute=1)
    site.run("3", "later")
    site.call(pools.UPDATE_WORK_POOL, WorkPoolUpdate(concurrency_limit=2), name="p")
    assert site.told() == ["1", "2"]
    site.start(first, StateType.PENDING, StateType.RUNNING)
    assert site.told() == ["2"]
    site.start(second, StateType.PENDING)
    assert site.told() == []
    assert site.call(pools.READ_WORK_POOL, name="p").active_slots == 2
    site.start(first, StateType.COMPLETED)
    assert site.told() == ["3"]


def test_each_queue_has_a_room_of_its_own(site: Site) -> None:
    first = site.run("1")
    for name, queue in (("2", None), ("3", "later"), ("4", "later")):
        site.run(name, queue)
    site.queue("default", concurrency_limit=1)
    assert site.told() == ["1", "3", "4"]
    site.start(first, StateType.PENDING)
    assert site.told() == ["3", "4"]
    site.queue("later", concurrency_limit=0)
    assert site.told() == []


def test_what_is_paused_hands_out_nothing(site: Site) -> None:
    site.run("1")
    site.run("2", "later")
    site.queue("default", is_paused=True)
    assert site.told() == ["2"]
    site.call(pools.UPDATE_WORK_POOL, WorkPoolUpdate(is_paused=True), name="p")
    assert site.told() == []


def test_a_poll_makes_its_queues_ready(site: Site) -> None:
    site.queue("later", is_paused=True)
    site.told()
    default, later = site.call(queues.FILTER_POOL_QUEUES, work_pool_name="p")
    assert (default.status, later.status) == ("READY", "PAUSED")
    assert default.last_polled is not None
    assert site.call(queues.WORK_QUEUE_STATUS, id=default.id).healthy


def test_a_queue_that_is_asked_for_is_made(site: Site) -> None:
    assert site.told(work_queue_names=["new"]) == []
    assert site.call(queues.READ_POOL_QUEUE, work_pool_name="p", name="new").priority == 3
    with pytest.raises(ObjectNotFound, match='Work pool "none" not found'):
        site.call(pools.GET_SCHEDULED_FLOW_RUNS, name="none")


def test_of_two_workers_with_the_same_run_one_gets_it(site: Site) -> None:
    run = site.run("1")
    assert site.told() == site.told() == ["1"]

    def claim() -> str:
        return site.call(runs.SET_FLOW_RUN_STATE, SetState(state=StateCreate(type=StateType.PENDING)), id=run).status

    with ThreadPoolExecutor(4) as workers:
        answers = [worker.result() for worker in [workers.submit(claim) for _ in range(4)]]
    assert sorted(answers) == ["ABORT", "ABORT", "ABORT", "ACCEPT"]


def test_deleting_a_queue_leaves_its_runs_without_one(site: Site) -> None:
    run = site.run("1", "later")
    site.call(queues.DELETE_POOL_QUEUE, work_pool_name="p", name="later")
    left = site.call(runs.READ_FLOW_RUN, id=run)
    assert (left.work_queue_id, left.work_pool_id, left.work_pool_name, left.work_queue_name) == (None, None, None, "later")


def test_a_run_needs_a_pool_that_exists(site: Site) -> None:
    with pytest.raises(ObjectNotFound, match='Work pool "none" not found'):
        site.call(runs.CREATE_FLOW_RUN, FlowRunCreate(flow_id=site.flow_id, work_pool_name="none"))


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ({"work_pools": {"name": {"any_": ["p"]}}}, ["1", "2"]),
        ({"work_pools": {"type": {"any_": ["docker"]}}}, []),
        ({"work_pool_queues": {"name": {"startswith_": ["la"]}}}, ["2"]),
        ({"work_pools": {"name": {"any_": ["p"]}}, "work_pool_queues": {"name": {"any_": ["default"]}}}, ["1"]),
        ({"work_pools": {}, "work_pool_queues": {}}, ["1", "2", "free"]),
    ],
)
def test_runs_are_found_by_where_they_wait(site: Site, scope: dict[str, Any], names: list[str]) -> None:
    site.run("1")
    site.run("2", "later")
    site.call(runs.CREATE_FLOW_RUN, FlowRunCreate(name="free", flow_id=site.flow_id))
    found = site.call(runs.FILTER_FLOW_RUNS, FlowRunQuery.model_validate({**scope, "sort": "NAME_ASC"}))
    assert [run.name for run in found] == names


def test_a_history_names_its_queues_in_another_word(site: Site) -> None:
    site.run("1")
    site.run("2", "later")
    span = {"history_start": NOON, "history_end": NOON + timedelta(hours=1), "history_interval_seconds": 3600}
    body = HistoryQuery.model_validate({**span, "work_queues": {"name": {"any_": ["later"]}}})
    (interval,) = site.call(runs.FLOW_RUN_HISTORY, body)
    assert [state.count_runs for state in interval.states] == [1]


# --- what takes slots -------------------------------------------------------------------------------------------------


def test_who_takes_the_slots_is_told_in_pages(site: Site) -> None:
    for name in ("1", "2", "3"):
        site.start(site.run(name), StateType.PENDING)
    status = site.call(pools.WORK_POOL_CONCURRENCY_STATUS, PoolConcurrencyStatusQuery(flow_run_limit=2, limit=1), name="p")
    (queue,) = status.queues
    assert (status.active_slots, status.count, status.pages) == (3, 2, 2)
    assert (queue.queue_name, queue.active_slots, queue.flow_run_count, [run.name for run in queue.flow_runs]) == ("default", 3, 3, ["1", "2"])
    empty = site.call(pools.WORK_POOL_CONCURRENCY_STATUS, PoolConcurrencyStatusQuery(page=2, limit=1), name="p").queues
    assert [(one.queue_name, one.flow_runs) for one in empty] == [("later", [])]
    page = site.call(queues.WORK_QUEUE_CONCURRENCY_STATUS, id=queue.queue_id)
    assert (page.active_slots, page.count, page.pages, [run.state_type for run in page.flow_runs]) == (3, 3, 1, ["PENDING"] * 3)


# --- queues of agents -------------------------------------------------------------------------------------------------


def test_an_agent_reads_the_runs_of_its_queue(site: Site) -> None:
    site.run("2", "later", 1)
    site.run("1", "later")
    queue = site.call(queues.READ_POOL_QUEUE, work_pool_name="p", name="later")
    found = site.call(queues.READ_WORK_QUEUE_RUNS, QueueRunsQuery(limit=1), id=queue.id)
    assert [run.name for run in found] == ["1"]
    assert site.call(queues.READ_WORK_QUEUE, id=queue.id).status == "READY"


def test_a_queue_with_a_filter_has_the_runs_that_match(site: Site) -> None:
    site.run("1", tags=["a", "b"])
    site.run("2", "later", 1, tags=["b"])
    site.start(site.run("3", tags=["b"]), StateType.PENDING)
    body = WorkQueueCreate.model_validate({"name": "tagged", "filter": {"tags": ["b"]}, "concurrency_limit": 3})
    queue = site.call(queues.CREATE_WORK_QUEUE, body)
    assert [run.name for run in site.call(queues.READ_WORK_QUEUE_RUNS, id=queue.id)] == ["1", "2"]
    site.call(queues.UPDATE_WORK_QUEUE, WorkQueueUpdate(concurrency_limit=2), id=queue.id)
    assert [run.name for run in site.call(queues.READ_WORK_QUEUE_RUNS, id=queue.id)] == ["1"]
