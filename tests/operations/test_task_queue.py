"""The queue of background task runs, and the list of task workers, as time passes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from headrace.model import clock, ids
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.model.task_runs import TaskRunCreate
from headrace.model.task_workers import FilterTaskWorkers, TaskWorkerFilter
from headrace.operations.runs import task_queue, task_runs, task_workers, transitions
from headrace.operations.runs.task_queue import Handover, Want
from headrace.server.database import database_in_force
from headrace.store.database import Database
from headrace.testing.clock import ControlledClock

HERE, THERE = ids.new(), ids.new()


@pytest.fixture
def store(database: str) -> Database:
    return database_in_force()


@pytest.fixture
def time() -> Iterator[ControlledClock]:
    controlled = ControlledClock()
    with clock.use(controlled):
        yield controlled


def create(store: Database, key: str = "k", delay: float = 0) -> UUID:
    when = clock.now() + timedelta(seconds=delay)
    state = StateCreate(type=StateType.SCHEDULED, state_details=StateDetails(deferred=True, scheduled_time=when))
    with store.write() as tx:
        return task_runs.create_task_run(tx, TaskRunCreate(task_key=key, dynamic_key=str(ids.new()), state=state)).id


def hand_over(store: Database, connection: UUID, *keys: str, confirmed: UUID | None = None) -> tuple[UUID | None, int | None]:
    given = Handover(confirmed=[confirmed] if confirmed else [], wants=[Want(connection, keys or ("k",))])
    with store.write() as tx:
        (run,), due = task_queue.hand_over(tx, given)
    return run and run.id, due


def test_a_run_of_a_server_that_died_is_due_again(store: Database, time: ControlledClock) -> None:
    run = create(store)
    assert hand_over(store, HERE) == (run, None)
    claimed_until = clock.now_us() + int(task_queue.CLAIM_SECONDS * 1_000_000)
    assert hand_over(store, THERE) == (None, claimed_until)
    time.pass_time(task_queue.CLAIM_SECONDS)
    assert hand_over(store, THERE)[0] == run
    assert hand_over(store, THERE, confirmed=run) == (None, None)


def test_what_is_due_first_is_handed_out_first(store: Database, time: ControlledClock) -> None:
    late, soon, other = create(store, delay=20), create(store, delay=10), create(store, "other")
    assert hand_over(store, HERE) == (None, clock.now_us() + 10_000_000)
    time.pass_time(30)
    assert [hand_over(store, HERE, "k", "other")[0] for _ in range(4)] == [other, soon, late, None]


def test_a_run_given_back_comes_before_younger_ones(store: Database, time: ControlledClock) -> None:
    first = create(store)
    time.pass_time(1)
    second = create(store)
    assert hand_over(store, HERE)[0] == first
    with store.write() as tx:
        task_queue.hand_over(tx, Handover(released=[HERE]))
    assert [hand_over(store, THERE)[0] for _ in range(2)] == [first, second]


def test_a_run_that_stays_pending_is_queued_again_with_its_parameters(store: Database, time: ControlledClock) -> None:
    run, parameters = create(store), ids.new()
    details = StateDetails(deferred=True, task_parameters_id=parameters, scheduled_time=clock.now())
    timeout = timedelta(seconds=60)

    def move(kind: StateType, details: StateDetails | None = None) -> None:
        state = StateCreate(type=kind, state_details=details or StateDetails())
        with store.write() as tx:
            transitions.set_task_run_state(tx, run, SetState(state=state, force=True))

    def taken_back() -> int:
        with store.write() as tx:
            return task_queue.take_back_pending(tx, clock.now(), timeout, 10)

    move(StateType.SCHEDULED, details)
    assert hand_over(store, HERE)[0] == run
    assert hand_over(store, HERE, confirmed=run) == (None, None)
    move(StateType.PENDING, StateDetails(deferred=True))
    assert taken_back() == 0
    time.pass_time(61)
    assert (taken_back(), taken_back()) == (1, 0)
    assert hand_over(store, THERE)[0] == run
    with store.read() as tx:
        state = task_runs.read_task_run(tx, id=run).state
    assert state is not None
    assert state.state_details.task_parameters_id == parameters
    assert state.message == "The task worker that took this run did not begin it within 60 seconds."


def test_the_workers_of_a_dead_server_are_forgotten(store: Database, time: ControlledClock) -> None:
    def listed(wanted: TaskWorkerFilter | None = None) -> list[str]:
        with store.read() as tx:
            return [worker.identifier for worker in task_workers.filter_task_workers(tx, FilterTaskWorkers(task_worker_filter=wanted))]

    with store.write() as tx:
        task_queue.see_workers(tx, [(HERE, "here", ["a"]), (THERE, "there", ["b"])])
    assert listed() == ["here", "there"]
    assert listed(TaskWorkerFilter(task_keys=["b"])) == ["there"]
    time.pass_time(task_queue.WORKER_SECONDS_MAX - 1)
    with store.write() as tx:
        task_queue.see_workers(tx, [(THERE, "there", ["b"])])
    time.pass_time(2)
    assert listed() == ["there"]
