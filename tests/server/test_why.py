"""Why a run does not run: each way of being stuck, built, and the cause that is named."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.model import clock, ids
from headrace.model.concurrency import ConcurrencyLimitCreate, TagSlots
from headrace.model.deployments import DeploymentCreate
from headrace.model.endpoints import concurrency as limits
from headrace.model.endpoints import deployments, flow_runs, holding, task_runs, work_pools, work_queues, workers
from headrace.model.endpoints.flows import CREATE_FLOW
from headrace.model.flow_runs import FlowRunCreate
from headrace.model.flows import FlowCreate
from headrace.model.holding import Holding
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate
from headrace.model.task_runs import TaskRunCreate
from headrace.model.work_pools import GetScheduledFlowRuns, WorkPoolCreate
from headrace.model.work_queues import WorkQueueCreate, WorkQueueUpdate
from headrace.model.workers import WorkerHeartbeat


def ask(endpoint: Any, body: Any = None, **parameters: Any) -> Any:
    return drive(current_client().call(endpoint, body, **parameters))


class World:
    """A pool `gpu` with a worker, a deployment `f/d` on it, and runs."""

    def __init__(self) -> None:
        self.flow = ask(CREATE_FLOW, FlowCreate(name="f")).id

    def pool(self, *, worker: bool = True, **more: Any) -> None:
        ask(work_pools.CREATE_WORK_POOL, WorkPoolCreate(name="gpu", type="process", **more))
        if worker:
            ask(workers.WORKER_HEARTBEAT, WorkerHeartbeat(name="w", heartbeat_interval_seconds=30), work_pool_name="gpu")
            self.poll("default")

    def poll(self, *queues: str) -> list[Any]:
        return ask(work_pools.GET_SCHEDULED_FLOW_RUNS, GetScheduledFlowRuns(work_queue_names=list(queues)), name="gpu")

    def deployment(self, queue: str | None = "default", **more: Any) -> UUID:
        pooled = {"work_pool_name": "gpu", "work_queue_name": queue} if queue else {}
        return ask(deployments.CREATE_DEPLOYMENT, DeploymentCreate(name="d", flow_id=self.flow, **pooled, **more)).id

    def run(self, deployment: UUID | None = None, state: str = "SCHEDULED", *, due: timedelta = timedelta(seconds=-1), **more: Any) -> UUID:
        details = {"scheduled_time": clock.now() + due} if state == "SCHEDULED" else {}
        if deployment is not None:
            made = ask(
                deployments.CREATE_RUN_OF_DEPLOYMENT,
                deployments.CREATE_RUN_OF_DEPLOYMENT.body(state=StateCreate(type="SCHEDULED", state_details={"scheduled_time": clock.now() + due})),
                id=deployment,
            )
            if state != "SCHEDULED":
                self.set(made.id, state)
            return made.id
        body = FlowRunCreate(flow_id=self.flow, state=StateCreate(type=state, state_details=details), **more)
        return ask(flow_runs.CREATE_FLOW_RUN, body).id

    def set(self, run: UUID, state: str, name: str | None = None, **details: Any) -> None:
        given = StateCreate(type=state, name=name, state_details=details)
        ask(flow_runs.SET_FLOW_RUN_STATE, SetState(state=given, force=True), id=run)


@pytest.fixture
def world(client: str) -> World:
    return World()


def why(run: UUID) -> Holding:
    return ask(holding.WHY_FLOW_RUN, id=run)


def only(found: Holding) -> Any:
    assert [cause.code for cause in found.causes] == [found.causes[0].code], found
    return found.causes[0]


def test_a_run_that_is_due_and_free_is_held_by_nothing(world: World) -> None:
    world.pool()
    found = why(world.run(world.deployment()))
    assert found.causes == []
    assert "nothing holds it" in found.summary


def test_what_has_ended_is_held_by_nothing(world: World) -> None:
    assert "has ended" in why(world.run(state="COMPLETED")).summary


def test_a_paused_pool(world: World) -> None:
    world.pool(is_paused=True)
    cause = only(why(world.run(world.deployment())))
    assert (cause.code, cause.command) == ("pool-paused", "headrace work-pool resume gpu")


def test_a_paused_queue(world: World) -> None:
    world.pool()
    run = world.run(world.deployment())
    ask(work_queues.UPDATE_POOL_QUEUE, WorkQueueUpdate(is_paused=True), work_pool_name="gpu", name="default")
    cause = only(why(run))
    assert (cause.code, cause.command) == ("queue-paused", "headrace work-queue resume default --pool gpu")


def test_no_worker(world: World) -> None:
    world.pool(worker=False)
    cause = only(why(world.run(world.deployment())))
    assert (cause.code, cause.command) == ("no-worker", "headrace worker start --pool gpu")
    assert "never had one" in cause.message


def test_workers_of_another_queue(world: World) -> None:
    world.pool()
    world.deployment(queue="mine")
    cause = only(why(world.run(world.deployment(queue="mine"))))
    assert (cause.code, cause.command) == ("queue-not-served", "headrace worker start --pool gpu --work-queue mine")
    assert "'default'" in cause.message


def test_a_full_pool_names_who_has_the_slot(world: World) -> None:
    world.pool(concurrency_limit=1)
    holder = world.run(world.deployment(), "RUNNING")
    cause = only(why(world.run(world.deployment())))
    assert cause.code == "pool-limit"
    assert [one.id for one in cause.holders] == [holder]
    assert cause.holders[0].state_name == "Running"
    assert cause.since == cause.holders[0].since
    assert cause.command == "headrace work-pool set-concurrency-limit gpu 2"


def test_a_full_queue(world: World) -> None:
    world.pool()
    ask(work_queues.UPDATE_POOL_QUEUE, WorkQueueUpdate(concurrency_limit=1), work_pool_name="gpu", name="default")
    holder = world.run(world.deployment(), "PENDING")
    cause = only(why(world.run(world.deployment())))
    assert (cause.code, [one.id for one in cause.holders]) == ("queue-limit", [holder])
    assert cause.command == "headrace work-queue set-concurrency-limit default 2 --pool gpu"


def test_runs_of_a_queue_with_priority_come_first(world: World) -> None:
    world.pool(concurrency_limit=1)
    ask(work_queues.CREATE_POOL_QUEUE, WorkQueueCreate(name="first", priority=1), work_pool_name="gpu")
    world.poll("first", "default")
    world.run(world.deployment(queue="first"), "RUNNING")
    world.run(world.deployment(queue="first"))
    found = why(world.run(world.deployment(queue="default")))
    assert [cause.code for cause in found.causes] == ["pool-limit", "queue-priority"]
    assert "'first', which has priority" in found.causes[1].message


def test_a_full_deployment(world: World) -> None:
    world.pool()
    deployment = world.deployment(concurrency_limit=1)
    holder, run = world.run(deployment), world.run(deployment)
    for one in (holder, run):
        ask(flow_runs.SET_FLOW_RUN_STATE, SetState(state=StateCreate(type="PENDING")), id=one)
    found = why(run)
    assert found.state_name == "AwaitingConcurrencySlot"
    cause = only(found)
    assert (cause.code, [one.id for one in cause.holders]) == ("deployment-limit", [holder])
    assert "'f/d' admits 1 run at once, and 1 run has a slot" in cause.message


def test_a_late_run_is_late_for_its_own_cause(world: World) -> None:
    world.pool(worker=False)
    run = world.run(world.deployment(), due=-timedelta(hours=1))
    world.set(run, "SCHEDULED", "Late", scheduled_time=clock.now() - timedelta(hours=1))
    found = why(run)
    assert found.state_name == "Late"
    assert only(found).code == "no-worker"


def test_a_start_in_the_future(world: World) -> None:
    world.pool(worker=False)
    cause = only(why(world.run(world.deployment(), due=timedelta(hours=1))))
    assert (cause.code, cause.command) == ("future-start", "headrace deployment run f/d")


def test_a_run_that_is_tried_again_later(world: World) -> None:
    world.pool()
    run = world.run(world.deployment())
    world.set(run, "SCHEDULED", "AwaitingRetry", scheduled_time=clock.now() + timedelta(hours=1))
    assert only(why(run)).code == "awaiting-retry"


@pytest.mark.parametrize(("keyset", "code"), [({"response": "r", "schema": "s"}, "waiting-for-input"), (None, "paused")])
def test_a_paused_run(world: World, keyset: dict[str, str] | None, code: str) -> None:
    run = world.run(state="RUNNING")
    world.set(run, "PAUSED", run_input_keyset=keyset, pause_timeout=clock.now() + timedelta(hours=1))
    cause = only(why(run))
    assert cause.code == code
    assert cause.command.startswith(f"headrace api POST /flow_runs/{run}/resume")
    assert "It fails at" in cause.message


def test_a_run_that_is_being_cancelled(world: World) -> None:
    world.pool(worker=False)
    run = world.run(world.deployment(), "RUNNING")
    world.set(run, "CANCELLING")
    cause = only(why(run))
    assert (cause.code, cause.command) == ("cancelling", "headrace worker start --pool gpu")


def test_a_deployment_that_nobody_serves_and_a_run_of_none(world: World) -> None:
    assert only(why(world.run(world.deployment(queue=None)))).code == "not-served"
    assert only(why(world.run())).code == "no-deployment"


def test_a_limited_tag_holds_task_runs_and_shows_in_their_flow_run(world: World) -> None:
    ask(limits.CREATE_TAG_LIMIT, ConcurrencyLimitCreate(tag="db", concurrency_limit=1))
    parent = world.run(state="RUNNING")

    def task_run(key: str, state: str) -> UUID:
        body = TaskRunCreate(name=key, flow_run_id=parent, task_key=key, dynamic_key="0", tags=["db"], state=StateCreate(type=state))
        return ask(task_runs.CREATE_TASK_RUN, body).id

    holder, waiting = task_run("has", "RUNNING"), task_run("waits", "PENDING")
    ask(limits.INCREMENT_TAG_SLOTS, TagSlots(names=["db"], task_run_id=holder))
    cause = only(ask(holding.WHY_TASK_RUN, id=waiting))
    assert (cause.code, [(one.kind, one.id) for one in cause.holders]) == ("tag-limit", [("task-run", holder)])
    assert cause.command == "headrace concurrency-limit create db 2"
    found = why(parent)
    assert (only(found).code, only(found).run_id) == ("tag-limit", waiting)
    assert found.summary.endswith("runs, but parts of it wait.")


def test_a_background_run_without_a_task_worker(world: World) -> None:
    details = {"deferred": True, "task_parameters_id": ids.new()}
    body = TaskRunCreate(task_key="bg", dynamic_key="0", state=StateCreate(type="SCHEDULED", state_details=details))
    run = ask(task_runs.CREATE_TASK_RUN, body).id
    assert only(ask(holding.WHY_TASK_RUN, id=run)).code == "no-task-worker"


def test_a_paused_deployment_makes_no_runs(world: World) -> None:
    deployment = world.deployment(queue=None, paused=True)
    found = ask(holding.WHY_DEPLOYMENT, id=deployment)
    assert (only(found).code, only(found).command) == ("deployment-paused", "headrace deployment resume f/d")
    ask(deployments.RESUME_DEPLOYMENT, id=deployment)
    assert only(ask(holding.WHY_DEPLOYMENT, id=deployment)).code == "no-schedule"


@pytest.mark.usefixtures("database")
def test_it_is_told_on_each_kind_of_database() -> None:
    test_a_limited_tag_holds_task_runs_and_shows_in_their_flow_run(World())
    world = World()
    world.pool(concurrency_limit=1)
    holder = world.run(world.deployment(concurrency_limit=1), "RUNNING")
    found = why(world.run(world.deployment()))
    assert found.causes[0].code == "pool-limit"
    assert [one.id for one in found.causes[0].holders] == [holder]
