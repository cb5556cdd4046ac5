"""Late runs and pauses that lasted too long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headrace.model import clock
from headrace.model.states import StateType
from headrace.server.services.late_runs import MarkLateRuns
from headrace.server.services.pause_expirations import FailExpiredPauses
from headrace.settings import HEADRACE_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS, temporary_settings
from server.services.world import World


def test_run_is_late_when_it_did_not_start_in_time(world: World) -> None:
    overdue, in_time = world.scheduled(-20), world.scheduled(-10)
    due = world.flow_run(overdue).next_scheduled_start_time
    world.round(MarkLateRuns)
    assert [world.state_of(overdue), world.state_of(in_time)] == ["Late", "Scheduled"]
    assert world.flow_run(overdue).next_scheduled_start_time == due
    world.clock.pass_time(6)
    world.round(MarkLateRuns)
    assert world.state_of(in_time) == "Late"


def test_late_run_is_marked_once(world: World) -> None:
    run = world.scheduled(-60)
    world.round(MarkLateRuns, MarkLateRuns)
    assert world.rows("SELECT name FROM flow_run_state WHERE flow_run_id = ? ORDER BY timestamp", run.bytes) == [("Scheduled",), ("Late",)]


def test_two_servers_mark_each_late_run_once(world: World) -> None:
    runs = [world.scheduled(-60) for _ in range(30)]
    world.racing_rounds(MarkLateRuns, 3)
    assert world.rows("SELECT COUNT(*) FROM flow_run_state WHERE name = 'Late'") == [(len(runs),)]


def test_setting_says_how_long_a_run_may_take_to_start(world: World) -> None:
    run = world.scheduled(-20)
    with temporary_settings({HEADRACE_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS: 30}):
        world.round(MarkLateRuns)
    assert world.state_of(run) == "Scheduled"


@pytest.mark.parametrize("name", ["AwaitingRetry", "AwaitingConcurrencySlot", "Resuming"])
def test_run_that_waits_for_something_is_not_late(world: World, name: str) -> None:
    run = world.run(StateType.SCHEDULED, name=name, details={"scheduled_time": clock.now() - timedelta(minutes=1)})
    world.round(MarkLateRuns)
    assert world.state_of(run) == name


def test_more_late_runs_than_a_batch_are_all_marked(world: World) -> None:
    service = MarkLateRuns.on(world.database)
    for _ in range(7):
        world.scheduled(-60)
    assert service.batch() >= 7
    with world.database.write() as tx:  # the step itself, with a small batch
        assert [service.steps()[0](tx, clock.now(), 3) for _ in range(4)] == [3, 3, 1, 0]


@pytest.mark.parametrize(("reschedule", "verb"), [(False, "paused"), (True, "suspended")])
def test_pause_fails_after_its_timeout(world: World, reschedule: bool, verb: str) -> None:
    timeout = clock.now() + timedelta(minutes=5)
    run = world.run(StateType.PAUSED, details={"pause_timeout": timeout, "pause_reschedule": reschedule})
    forever = world.run(StateType.PAUSED)
    world.clock.pass_time(299)
    world.round(FailExpiredPauses)
    assert world.state_of(run) == "Paused"
    world.clock.pass_time(2)
    world.round(FailExpiredPauses)
    state = world.flow_run(run).state
    assert state is not None and (state.name, state.message) == ("Failed", f"The flow was {verb} and never resumed.")
    assert world.state_of(forever) == "Paused"


def test_expired_pauses_are_found_behind_many_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.operations.upkeep.upkeep_scheduled.PAGE", 2)
    for _ in range(5):
        world.run(StateType.PAUSED)
    run = world.run(StateType.PAUSED, details={"pause_timeout": clock.now() - timedelta(seconds=1)})
    world.round(FailExpiredPauses)
    assert world.state_of(run) == "Failed"
