"""Runs that schedules ask for."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from headrace.model.deployments import DeploymentCreate
from headrace.model.endpoints.deployments import CREATE_DEPLOYMENT
from headrace.model.schedules import DeploymentScheduleCreate, IntervalSchedule
from headrace.server.services.scheduler import RecentDeploymentsScheduler, Scheduler
from headrace.settings import HEADRACE_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS, temporary_settings
from server.services.world import World


def deploy(world: World, name: str, minutes: int = 30) -> UUID:
    schedule = IntervalSchedule(interval=timedelta(minutes=minutes), anchor_date=world.clock.now())
    return world.call(
        CREATE_DEPLOYMENT, DeploymentCreate(name=name, flow_id=world.flow_id, schedules=[DeploymentScheduleCreate(schedule=schedule)])
    ).id


def times(world: World, deployment: UUID) -> list[datetime]:
    from headrace.model.clock import from_us

    rows = world.rows("SELECT next_scheduled_start_time FROM flow_run WHERE deployment_id = ? ORDER BY 1", deployment.bytes)
    return [from_us(row[0]) for row in rows]


@pytest.mark.parametrize("service", [Scheduler, RecentDeploymentsScheduler])
def test_new_schedule_gets_its_first_runs(world: World, service: type[Scheduler]) -> None:
    deployment, begun = deploy(world, "d"), world.clock.now()
    world.round(service)
    assert times(world, deployment) == [begun + timedelta(minutes=30 * n) for n in range(len(times(world, deployment)))]
    assert len(times(world, deployment)) >= 3


def test_as_time_goes_on_more_runs_follow_and_none_comes_twice(world: World) -> None:
    deployment = deploy(world, "d")
    for _ in range(12):
        world.round(Scheduler, RecentDeploymentsScheduler)
        world.clock.pass_time(600)
    found = times(world, deployment)
    assert len(set(found)) == len(found)
    assert found[-1] >= world.clock.now()


def test_two_servers_make_each_run_once(world: World) -> None:
    deployments = [deploy(world, f"d{n}") for n in range(8)]
    world.racing_rounds(Scheduler)
    counts = {len(times(world, deployment)) for deployment in deployments}
    assert counts == {len(set(times(world, deployments[0])))}


def test_deployment_that_cannot_be_scheduled_holds_up_no_other(world: World, headrace_caplog: pytest.LogCaptureFixture) -> None:
    bad, good = deploy(world, "bad"), deploy(world, "good")
    with world.database.write() as tx:
        tx.sql("UPDATE deployment SET parameters = '[1]' WHERE id = ?", (bad.bytes,))
    world.round(Scheduler)
    assert [bool(times(world, one)) for one in (bad, good)] == [False, True]
    assert str(bad) in headrace_caplog.text


def test_recent_deployments_have_a_period_of_their_own() -> None:
    assert (Scheduler().loop_seconds, RecentDeploymentsScheduler().loop_seconds) == (60, 5)
    with temporary_settings({HEADRACE_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS: 1.5}):
        assert RecentDeploymentsScheduler().loop_seconds == 1.5
