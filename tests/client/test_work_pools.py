"""The documented client methods on work pools, in this process and over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from headrace.client.orchestration import SyncHeadraceClient, get_client
from headrace.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from headrace.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName, WorkQueueFilter, WorkQueueFilterName
from headrace.exceptions import ObjectAlreadyExists, ObjectNotFound
from headrace.model import clock
from headrace.states import Pending, Scheduled

pytestmark = pytest.mark.usefixtures("client")


@dataclass
class Flow:
    """As much of a flow as a client looks at."""

    name: str = "my-flow"


@pytest.fixture
def ours() -> Iterator[SyncHeadraceClient]:
    """A blocking client."""
    with get_client(sync_client=True) as opened:
        yield opened


def test_a_pool_from_its_making_to_its_end(ours: SyncHeadraceClient) -> None:
    made = ours.create_work_pool(WorkPoolCreate(name="p", type="process"))
    assert ours.read_work_pool("p").id == made.id
    with pytest.raises(ObjectAlreadyExists):
        ours.create_work_pool(WorkPoolCreate(name="p"))
    assert ours.create_work_pool(WorkPoolCreate(name="p", type="process", description="new"), overwrite=True).description == "new"
    ours.update_work_pool("p", WorkPoolUpdate(concurrency_limit=2))
    [found] = ours.read_work_pools(work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=["p"])))
    assert (found.id, found.concurrency_limit, found.description) == (made.id, 2, "new")
    ours.delete_work_pool("p")
    with pytest.raises(ObjectNotFound, match='Work pool "p" not found'):
        ours.read_work_pool("p")


def test_a_worker_finds_its_runs(ours: SyncHeadraceClient) -> None:
    ours.create_work_pool(WorkPoolCreate(name="p", type="process", concurrency_limit=1))
    ours.send_worker_heartbeat("p", "w", heartbeat_interval_seconds=30.0)
    [worker] = ours.read_workers_for_work_pool("p")
    assert (worker.name, worker.status, ours.read_work_pool("p").status) == ("w", "ONLINE", "READY")
    run = ours.create_flow_run(Flow(), state=Scheduled(), work_pool_name="p")
    ours.create_flow_run(Flow(name="other"), state=Scheduled(scheduled_time=clock.now() + timedelta(hours=1)), work_pool_name="p")
    [found] = ours.get_scheduled_flow_runs_for_work_pool("p", scheduled_before=clock.now())
    assert found.flow_run.id == run.id
    ours.set_flow_run_state(run.id, Pending())
    assert ours.get_scheduled_flow_runs_for_work_pool("p") == []
    status = ours.read_work_pool_concurrency_status("p")
    assert [(queue.queue_name, [one.id for one in queue.flow_runs]) for queue in status.queues] == [("default", [run.id])]
    [waiting] = ours.read_flow_runs(work_queue_filter=WorkQueueFilter(name=WorkQueueFilterName(any_=["default"])), limit=1)
    assert waiting.work_pool_name == "p"


def test_queues_with_and_without_a_pool(ours: SyncHeadraceClient) -> None:
    ours.create_work_pool(WorkPoolCreate(name="p", type="process"))
    queue = ours.create_work_queue("q-1", work_pool_name="p", priority=1, concurrency_limit=3)
    old = ours.create_work_queue("q-old")
    assert ours.read_work_queue(queue.id) == ours.read_work_queue_by_name("q-1", work_pool_name="p")
    assert ours.read_work_queue_by_name("q-old").id == old.id
    assert [one.name for one in ours.read_work_queues(work_pool_name="p")] == ["q-1", "default"]
    assert [one.name for one in ours.match_work_queues(["q-"])] == ["q-1", "q-old"]
    ours.update_work_queue(queue.id, is_paused=True)
    assert ours.read_work_queue(queue.id).status == "PAUSED"
    with pytest.raises(ValueError, match="No fields provided to update"):
        ours.update_work_queue(queue.id)
    assert ours.get_runs_in_work_queue(old.id) == []
    assert ours.read_work_queue_status(old.id).healthy
    assert ours.read_work_queue_concurrency_status(queue.id).concurrency_limit == 3
    ours.delete_work_queue_by_id(old.id)
    with pytest.raises(ObjectNotFound):
        ours.read_work_queue(old.id)


def test_known_worker_types(ours: SyncHeadraceClient) -> None:
    types = [name for package in ours.read_worker_metadata().values() for name in package]
    assert {"process", "docker", "kubernetes"} <= set(types)
