"""Who is there, and who is not: statuses of workers, pools, queues and deployments, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from headrace.model import clock
from headrace.model.caller import SERVICE, Caller
from headrace.model.deployments import DeploymentCreate
from headrace.model.endpoints import deployments, work_pools, work_queues, workers
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.flows import FlowCreate
from headrace.model.work_pools import WorkPoolCreate, WorkPoolUpdate
from headrace.model.work_queues import WorkQueueUpdate
from headrace.model.workers import WorkerHeartbeat
from headrace.operations.deployments.deployment_readiness import mark_deployments_not_ready
from headrace.operations.pools import readiness
from headrace.operations.table import answer
from headrace.settings import get_current_settings
from headrace.store.database import Database
from headrace.testing.clock import ControlledClock

Step = Callable[..., int]


class Site:
    """A server's database with a pool `p`."""

    def __init__(self, store: Database, time: ControlledClock) -> None:
        self.store, self.time = store, time
        self.call(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="p", type="process"))

    def call(self, endpoint: Any, body: Any = None, caller: Caller = SERVICE, **parameters: Any) -> Any:
        """Perform an endpoint as a server does."""
        return answer(self.store, endpoint, body, parameters, caller)[0]

    def take(self, step: Step, limit: int = 10) -> int:
        """Take one step of the foreman."""
        with self.store.write(SERVICE) as tx:
            return step(tx, clock.now(), limit)

    def beat(self, name: str = "w", interval: int | None = 30) -> None:
        """Have a worker tell that it lives."""
        self.call(workers.WORKER_HEARTBEAT, WorkerHeartbeat(name=name, heartbeat_interval_seconds=interval), work_pool_name="p")

    def poll(self) -> None:
        """Ask for runs as a worker does."""
        self.call(work_pools.GET_SCHEDULED_FLOW_RUNS, name="p")

    def statuses(self) -> tuple[str, list[str], list[str]]:
        """Return the status of the pool, of its queues and of its workers."""
        pool = self.call(work_pools.READ_WORK_POOL, name="p")
        queues = self.call(work_queues.FILTER_POOL_QUEUES, work_pool_name="p")
        return pool.status, [queue.status for queue in queues], [one.status for one in self.call(workers.FILTER_WORKERS, work_pool_name="p")]

    def told(self, prefix: str) -> list[tuple[str, bytes, bytes | None]]:
        """Return the events so far: name, id, and the id of the one that it follows."""
        with self.store.read() as tx:
            rows = tx.sql("SELECT event, id, follows FROM events WHERE event LIKE ? ORDER BY occurred, id", (f"prefect.{prefix}.%",))
        return [(event.removeprefix(f"prefect.{prefix}."), id, follows) for event, id, follows in rows]

    def names(self, prefix: str) -> list[str]:
        """Return the names of the events so far."""
        return [name for name, _, _ in self.told(prefix)]


@pytest.fixture
def site(database: str) -> Generator[Site, None, None]:
    """A server's database, and its time in the test's hand."""
    time = ControlledClock()
    with clock.use(time):
        store = Database(get_current_settings().server.database.connection_url.get_secret_value())
        yield Site(store, time)
        store.close()


def test_a_worker_is_offline_after_three_missed_heartbeats(site: Site) -> None:
    site.beat("quick", 10)
    site.beat("slow", 100)
    site.beat("silent about it", None)
    site.time.pass_time(30)
    assert site.take(readiness.mark_workers_offline) == 0
    site.time.pass_time(1)
    assert site.take(readiness.mark_workers_offline) == 1
    site.time.pass_time(60)
    assert site.take(readiness.mark_workers_offline) == 1
    assert {one.name: one.status for one in site.call(workers.FILTER_WORKERS, work_pool_name="p")} == {
        "quick": "OFFLINE",
        "silent about it": "OFFLINE",
        "slow": "ONLINE",
    }


def test_a_pool_is_ready_while_a_worker_is_online(site: Site) -> None:
    site.beat()
    site.beat("other", 10)
    site.time.pass_time(31)
    site.take(readiness.mark_workers_offline)
    assert (site.take(readiness.mark_pools_not_ready), site.statuses()[0]) == (0, "READY")
    site.time.pass_time(60)
    site.take(readiness.mark_workers_offline)
    assert (site.take(readiness.mark_pools_not_ready), site.statuses()[0]) == (1, "NOT_READY")
    site.beat()
    assert site.statuses()[0] == "READY"
    assert site.names("work-pool") == ["created", "ready", "not-ready", "ready"]


def test_an_event_of_a_status_follows_the_one_before_it(site: Site) -> None:
    site.beat()
    site.time.pass_time(60)
    site.call(work_pools.UPDATE_WORK_POOL, WorkPoolUpdate(is_paused=True), name="p")
    site.time.pass_time(600)
    site.call(work_pools.UPDATE_WORK_POOL, WorkPoolUpdate(is_paused=False), name="p")
    _, ready, paused, again = site.told("work-pool")
    assert (ready[2], paused[2], again[2]) == (None, ready[1], None)


def test_a_queue_is_ready_for_a_minute_after_a_poll(site: Site) -> None:
    site.poll()
    site.time.pass_time(60)
    assert site.take(readiness.mark_queues_not_ready) == 0
    site.time.pass_time(1)
    assert site.take(readiness.mark_queues_not_ready) == 1
    site.poll()
    assert site.statuses()[1] == ["READY"]
    assert site.names("work-queue") == ["created", "ready", "not-ready", "ready"]


def test_a_paused_queue_stays_paused_and_wakes_ready_if_it_was_polled(site: Site) -> None:
    def pause(is_paused: bool) -> str:
        site.call(work_queues.UPDATE_POOL_QUEUE, WorkQueueUpdate(is_paused=is_paused), work_pool_name="p", name="default")
        return site.statuses()[1][0]

    assert pause(True) == "PAUSED"
    site.poll()
    assert pause(False) == "READY"
    assert pause(True) == "PAUSED"
    site.time.pass_time(120)
    assert site.take(readiness.mark_queues_not_ready) == 0
    assert pause(False) == "NOT_READY"


def test_a_deployment_is_ready_while_its_queue_is_polled(site: Site) -> None:
    flow = site.call(CREATE_FLOW, FlowCreate(name="f")).id
    made = site.call(deployments.CREATE_DEPLOYMENT, DeploymentCreate(name="d", flow_id=flow, work_pool_name="p"))

    def status() -> str:
        return site.call(deployments.READ_DEPLOYMENT, id=made.id).status

    site.poll()
    assert status() == "READY"
    step = partial(mark_deployments_not_ready, after=timedelta(seconds=60))
    site.time.pass_time(60)
    assert site.take(step) == 0
    site.time.pass_time(1)
    assert site.take(step) == 1
    assert status() == "NOT_READY"
    assert site.names("deployment")[-2:] == ["ready", "not-ready"]


def test_a_step_does_no_more_than_it_is_told(site: Site) -> None:
    for name in ("a", "b", "c"):
        site.beat(name, 1)
    site.time.pass_time(10)
    assert [site.take(readiness.mark_workers_offline, 2) for _ in range(3)] == [2, 1, 0]


def test_what_changed_is_told(site: Site) -> None:
    site.call(work_pools.UPDATE_WORK_POOL, WorkPoolUpdate(concurrency_limit=3), name="p")
    site.call(work_pools.UPDATE_WORK_POOL, WorkPoolUpdate(concurrency_limit=3), name="p")
    site.call(work_queues.UPDATE_POOL_QUEUE, WorkQueueUpdate(description="d"), work_pool_name="p", name="default")
    site.call(work_pools.DELETE_WORK_POOL, name="p")
    assert (site.names("work-pool"), site.names("work-queue")) == (["created", "updated", "deleted"], ["created", "updated"])
    with site.store.read() as tx:
        ((payload,),) = tx.sql("SELECT payload FROM events WHERE event = 'prefect.work-pool.updated'")
    assert '"concurrency_limit":{"from":null,"to":3}' in payload.replace(" ", "")


def test_a_page_that_looks_at_a_queue_does_not_poll_it(site: Site) -> None:
    (queue,) = site.call(work_queues.FILTER_POOL_QUEUES, work_pool_name="p")
    site.call(work_queues.READ_WORK_QUEUE_RUNS, caller=Caller(is_server=True, is_page=True), id=queue.id)
    assert site.statuses()[1] == ["NOT_READY"]
    site.call(work_queues.READ_WORK_QUEUE_RUNS, id=queue.id)
    assert site.statuses()[1] == ["READY"]
