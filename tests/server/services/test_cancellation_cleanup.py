"""What cancelled flow runs leave unfinished."""

from __future__ import annotations

from headrace.model import ids
from headrace.model.states import StateType
from headrace.server.services.cancellation_cleanup import CancellationCleanup
from server.services.world import World


def test_unfinished_tasks_of_a_cancelled_run_are_cancelled(world: World) -> None:
    run, other = world.run(StateType.RUNNING), world.run(StateType.RUNNING)
    running, done, elsewhere = world.task(run), world.task(run, StateType.COMPLETED), world.task(other)
    world.move(run, StateType.CANCELLED)
    world.round(CancellationCleanup)
    state = world.task_run(running).state
    assert state is not None and (state.name, state.message) == ("Cancelled", "The parent flow run was cancelled.")
    assert [world.task_run(task).state_name for task in (done, elsewhere)] == ["Completed", "Running"]


def test_subflow_in_the_parents_process_is_cancelled(world: World) -> None:
    parent = world.run(StateType.RUNNING)
    child = world.run(StateType.RUNNING, parent_task_run_id=world.task(parent))
    grandchild = world.run(StateType.RUNNING, parent_task_run_id=world.task(child))
    world.move(parent, StateType.CANCELLED)
    world.round(CancellationCleanup)
    world.round(CancellationCleanup)
    assert [world.state_of(run) for run in (child, grandchild)] == ["Cancelled", "Cancelled"]


def test_subflow_with_infrastructure_is_told_to_cancel(world: World) -> None:
    parent = world.run(StateType.RUNNING)
    child = world.run(StateType.RUNNING, parent_task_run_id=world.task(parent), deployment_id=ids.new())
    world.move(parent, StateType.CANCELLED)
    world.round(CancellationCleanup, CancellationCleanup)
    assert world.state_of(child) == "Cancelling"


def test_run_does_not_stay_cancelling_for_ever(world: World) -> None:
    run = world.run(StateType.RUNNING)
    world.move(run, StateType.CANCELLING)
    world.clock.pass_time(299)
    world.round(CancellationCleanup)
    assert world.state_of(run) == "Cancelling"
    world.clock.pass_time(2)
    world.round(CancellationCleanup)
    state = world.flow_run(run).state
    assert state is not None and state.name == "Cancelled"
    assert state.message == "Nobody reported within 300 seconds that the run was cancelled; it counts as cancelled now."


def test_two_servers_cancel_everything_once(world: World) -> None:
    run = world.run(StateType.RUNNING)
    tasks = [world.task(run) for _ in range(20)]
    world.move(run, StateType.CANCELLED)
    world.racing_rounds(CancellationCleanup)
    assert world.rows("SELECT COUNT(*) FROM task_run_state WHERE name = 'Cancelled'") == [(len(tasks),)]
