"""Runs whose process died without a word."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from headrace.model import clock, ids
from headrace.model.endpoints.events import RECORD_EVENTS
from headrace.model.endpoints.owners import OWNER_HEARTBEAT
from headrace.model.events import Resource, SentEvent
from headrace.model.states import StateType
from headrace.server.services.zombies import Presence, ZombieDetection
from server.services.world import World


def pass_time(world: World, seconds: int, *, owners: tuple[UUID, ...] = (), runs: tuple[UUID, ...] = (), every: int = 10) -> None:
    """Let time pass with the services at work, while these owners and runs give signs of life."""
    for _ in range(0, seconds, every):
        world.clock.pass_time(every)
        for owner in owners:
            world.call(OWNER_HEARTBEAT, id=owner)
        for run in runs:
            beat(world, run)
        world.round(Presence, ZombieDetection)


def beat(world: World, run: UUID) -> None:
    event = SentEvent(
        id=ids.new(), occurred=clock.now(), event="prefect.flow-run.heartbeat", resource=Resource({"prefect.resource.id": f"prefect.flow-run.{run}"})
    )
    world.call(RECORD_EVENTS, [event])


@pytest.fixture(autouse=True)
def _api_is_there(world: World) -> None:
    pass_time(world, 60)


def test_run_whose_process_falls_silent_is_crashed_within_a_minute(world: World) -> None:
    dead, alive = ids.new(), ids.new()
    runs = [world.run(StateType.RUNNING, owner=dead), world.run(StateType.PENDING, owner=dead)]
    task = world.task(runs[0])
    other = world.run(StateType.RUNNING, owner=alive)
    pass_time(world, 30, owners=(dead, alive))
    assert [world.state_of(run) for run in runs] == ["Running", "Pending"]
    pass_time(world, 50, owners=(alive,))
    assert [world.state_of(run) for run in (*runs, other)] == ["Crashed", "Crashed", "Running"]
    assert world.task_run(task).state_name == "Crashed"
    state = world.flow_run(runs[0]).state
    assert state is not None and state.message is not None and "ended without reporting" in state.message


def test_run_without_any_sign_of_life_is_never_judged(world: World) -> None:
    runs = [world.run(StateType.RUNNING), world.embedded_run()]
    pass_time(world, 3600, every=20)
    assert [world.state_of(run) for run in runs] == ["Running", "Pending"]


def test_process_that_dies_before_its_first_heartbeat_is_noticed(world: World) -> None:
    run = world.run(StateType.RUNNING, owner=ids.new())
    pass_time(world, 50)
    assert world.state_of(run) == "Crashed"


def test_ended_process_is_forgotten(world: World) -> None:
    owner = ids.new()
    run = world.run(StateType.RUNNING, owner=owner)
    pass_time(world, 10, owners=(owner,))
    world.move(run, StateType.COMPLETED)
    pass_time(world, 60)
    assert world.state_of(run) == "Completed"
    assert world.rows("SELECT kind FROM sign_of_life") == [("api",)]


def test_nobody_dies_of_the_servers_own_absence(world: World) -> None:
    owner = ids.new()
    run = world.run(StateType.RUNNING, owner=owner)
    pass_time(world, 10, owners=(owner,))
    world.clock.pass_time(600)  # no server was there to hear
    world.round(Presence, ZombieDetection)
    pass_time(world, 30, owners=(owner,))
    assert world.state_of(run) == "Running"
    pass_time(world, 60)
    assert world.state_of(run) == "Crashed"


def test_services_alone_judge_nobody(world: World) -> None:
    owner = ids.new()
    run = world.run(StateType.RUNNING, owner=owner)
    pass_time(world, 10, owners=(owner,))
    for _ in range(12):
        world.clock.pass_time(10)
        world.round(ZombieDetection)
    assert world.state_of(run) == "Running"


def test_flow_run_of_a_foreign_client_is_known_by_its_heartbeats(world: World) -> None:
    silent, steady, slow = (world.run(StateType.RUNNING) for _ in range(3))
    task = world.task(silent)
    beat(world, slow)
    pass_time(world, 90, runs=(silent, steady), every=30)
    beat(world, slow)
    pass_time(world, 120, runs=(steady,), every=30)
    assert [world.state_of(run) for run in (silent, steady, slow)] == ["Crashed", "Running", "Running"]
    assert world.task_run(task).state_name == "Crashed"
    pass_time(world, 180, runs=(steady,), every=30)  # the slow one's pace is 90 seconds
    assert [world.state_of(run) for run in (steady, slow)] == ["Running", "Crashed"]


def test_flow_run_that_sent_one_heartbeat_is_waited_for_longer(world: World) -> None:
    run = world.run(StateType.RUNNING)
    beat(world, run)
    pass_time(world, 840, every=30)
    assert world.state_of(run) == "Running"
    pass_time(world, 120, every=30)
    assert world.state_of(run) == "Crashed"


def test_heartbeats_of_ended_paused_and_unknown_runs_change_nothing(world: World) -> None:
    ended, paused = world.run(StateType.COMPLETED), world.run(StateType.RUNNING)
    for run in (ended, paused, ids.new()):
        beat(world, run)
    pass_time(world, 30, runs=(ended, paused))
    world.move(paused, StateType.PAUSED)
    pass_time(world, 1200, every=20)
    assert [world.state_of(run) for run in (ended, paused)] == ["Completed", "Paused"]


def test_owned_run_is_judged_by_its_owner_alone(world: World) -> None:
    owner = ids.new()
    run = world.run(StateType.RUNNING, owner=owner)
    beat(world, run)
    pass_time(world, 1200, owners=(owner,), every=20)
    assert world.state_of(run) == "Running"


def test_two_servers_crash_a_run_once(world: World) -> None:
    owners = [ids.new() for _ in range(10)]
    for owner in owners:
        world.run(StateType.RUNNING, owner=owner)
    pass_time(world, 10, owners=tuple(owners))
    pass_time(world, 40)
    world.clock.pass_time(timedelta(seconds=5).total_seconds())
    world.racing_rounds(ZombieDetection)
    assert world.rows("SELECT COUNT(*) FROM flow_run_state WHERE name = 'Crashed'") == [(len(owners),)]
