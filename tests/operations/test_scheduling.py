"""Runs made of schedules: as many as are wanted, each once, however many servers make them, and gone when their schedule is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.model import clock
from headrace.model.caller import SERVICE
from headrace.model.deployments import DeploymentFlowRunCreate, DeploymentUpdate, ScheduleDeployment
from headrace.model.endpoints import deployments, flow_runs
from headrace.model.schedules import DeploymentScheduleUpdate
from headrace.operations.deployments import scheduling
from headrace.settings import get_current_settings
from headrace.store.database import Database
from operations.deployed import HOURLY, deploy, propose, runs_of

Call = Callable[..., Any]

DAILY: dict[str, Any] = {"schedule": {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}}
EACH_MINUTE: dict[str, Any] = {"schedule": {"interval": 60, "anchor_date": "2024-01-01T00:00:00Z"}}


def look(server: Any, now: datetime | None = None, *, recent: bool = False, limit: int = 100) -> int:
    """Let the scheduler look once."""
    step = scheduling.schedule_recent_deployments if recent else scheduling.schedule_due_deployments
    with server.database.write(SERVICE) as tx:
        return step(tx, now or clock.now(), limit)


def times(server: Any, deployment: Any) -> list[datetime]:
    return [run.expected_start_time for run in runs_of(server, deployment)]


def test_runs_reach_an_hour_ahead_and_are_three_at_least(server: Any) -> None:
    often, daily = deploy(server, "often", schedules=[EACH_MINUTE]), deploy(server, "daily", schedules=[DAILY])
    now = clock.now()
    assert look(server, now) == 2
    assert len(times(server, daily)) == 3
    assert 60 <= len(times(server, often)) <= 61
    assert now + timedelta(hours=1) <= times(server, often)[-1] < now + timedelta(hours=1, minutes=1)


def test_scheduled_run_looks_as_documented(server: Any) -> None:
    schedule = {**HOURLY, "slug": "hourly", "parameters": {"n": 2}}
    made = deploy(server, schedules=[schedule], parameters={"n": 1, "m": 1}, tags=["a"], version="7", labels={"team": "x"})
    look(server)
    run = runs_of(server, made)[0]
    assert (run.state_name, run.state.message, run.auto_scheduled, run.run_count) == ("Scheduled", "Flow run scheduled", True, 0)
    assert (run.parameters, run.tags, run.deployment_version) == ({"n": 2, "m": 1}, ["a", "auto-scheduled"], "7")
    assert run.expected_start_time == run.next_scheduled_start_time == run.state.state_details.scheduled_time
    assert run.idempotency_key == f"scheduled {made.id} {made.schedules[0].id} {run.expected_start_time.isoformat()}"
    assert run.created_by.model_dump() == {"id": made.schedules[0].id, "type": "SCHEDULE", "display_value": "hourly"}
    assert run.labels == {"prefect.flow.id": str(made.flow_id), "prefect.deployment.id": str(made.id), "team": "x"}


def test_looking_again_makes_nothing_twice_and_later_what_is_missing(server: Any) -> None:
    made = deploy(server, schedules=[HOURLY])
    now = clock.now()
    look(server, now)
    first = times(server, made)
    assert look(server, now) == look(server, now, recent=True) == 0
    look(server, first[0] + timedelta(seconds=1))
    assert times(server, made) == [first[0] + timedelta(hours=hour) for hour in range(4)]


def test_nothing_is_missed_over_days_of_looking(server: Any) -> None:
    made = deploy(server, schedules=[DAILY, HOURLY])
    start = datetime(2024, 3, 30, tzinfo=UTC)  # the clock leaps on the 31st
    for hour in range(0, 72, 2):
        look(server, start + timedelta(hours=hour, minutes=7))
    found = [moment for moment in times(server, made) if moment < start + timedelta(days=3)]
    daily = [datetime(2024, 3, 30, 8, tzinfo=UTC), datetime(2024, 3, 31, 7, tzinfo=UTC), datetime(2024, 4, 1, 7, tzinfo=UTC)]
    assert found == sorted([start + timedelta(hours=hour) for hour in range(1, 72)] + daily)


def test_paused_and_inactive_make_none(server: Any) -> None:
    paused = deploy(server, "paused", schedules=[HOURLY], paused=True)
    half = deploy(server, "half", schedules=[{**HOURLY, "active": False}, DAILY])
    assert look(server) == 1
    assert times(server, paused) == []
    assert {moment.minute for moment in times(server, half)} == {0}
    assert len(times(server, half)) == 3


def test_schedule_with_fewer_coming_times_than_wanted_is_looked_at_each_day(server: Any) -> None:
    now = clock.now()
    once = {"schedule": {"rrule": f"DTSTART:{now + timedelta(minutes=5):%Y%m%dT%H%M%SZ}\nRRULE:FREQ=DAILY;COUNT=1"}}
    yearly = {"schedule": {"interval": 365 * 86400, "anchor_date": (now + timedelta(days=101)).isoformat()}}
    one, rare = deploy(server, "one", schedules=[once]), deploy(server, "rare", schedules=[yearly])
    look(server, now)
    assert (len(times(server, one)), times(server, rare)) == (1, [])
    assert look(server, now + timedelta(minutes=1)) == 0
    look(server, now + timedelta(days=2))
    assert (len(times(server, one)), len(times(server, rare))) == (1, 1)


def test_schedule_may_want_fewer_runs(server: Any) -> None:
    made = deploy(server, schedules=[{**EACH_MINUTE, "max_scheduled_runs": 2}])
    now = clock.now()
    look(server, now)
    assert len(times(server, made)) == 2
    look(server, now + timedelta(minutes=2))
    assert len(times(server, made)) == 4


def test_recent_change_is_found_at_once(server: Any) -> None:
    made = deploy(server, schedules=[HOURLY])
    assert (look(server, recent=True), look(server, recent=True)) == (1, 0)
    server(deployments.UPDATE_DEPLOYMENT, DeploymentUpdate(parameters={"n": 1}), id=made.id)
    assert times(server, made) == []
    assert look(server, recent=True) == 1
    assert {run.parameters["n"] for run in runs_of(server, made)} == {1}


def test_a_look_is_bounded(server: Any) -> None:
    made = [deploy(server, f"d{number}", schedules=[HOURLY]) for number in range(3)]
    assert [look(server, limit=2), look(server, limit=2)] == [2, 1]
    assert all(times(server, one) for one in made)


def test_pause_deletes_what_did_not_begin_and_resume_makes_it_anew(server: Any) -> None:
    made = deploy(server, schedules=[HOURLY])
    by_hand = server(deployments.CREATE_RUN_OF_DEPLOYMENT, DeploymentFlowRunCreate(), id=made.id)
    look(server)
    begun, *waiting = (run for run in runs_of(server, made) if run.auto_scheduled)
    for kind in ("PENDING", "RUNNING"):
        propose(server, begun, kind, force=True)
    server(deployments.PAUSE_DEPLOYMENT, id=made.id)
    assert {run.id for run in runs_of(server, made)} == {by_hand.id, begun.id}
    assert look(server) == 0
    server(deployments.RESUME_DEPLOYMENT, id=made.id)
    assert {run.expected_start_time for run in waiting} <= set(times(server, made))


def test_edit_of_one_schedule_replaces_its_own_runs(server: Any) -> None:
    made = deploy(server, schedules=[{**HOURLY, "slug": "a"}, {**DAILY, "slug": "b"}])
    look(server)
    hourly = next(schedule for schedule in made.schedules if schedule.slug == "a")
    kept = {run.id for run in runs_of(server, made) if str(hourly.id) not in run.idempotency_key}
    server(deployments.UPDATE_SCHEDULE, DeploymentScheduleUpdate(parameters={"n": 1}), id=made.id, schedule_id=hourly.id)
    assert {run.id for run in runs_of(server, made)} == kept
    look(server, recent=True)
    assert len(runs_of(server, made)) == 6
    server(deployments.DELETE_SCHEDULE, id=made.id, schedule_id=hourly.id)
    assert {run.id for run in runs_of(server, made)} == kept


def test_run_that_is_late_or_waits_for_a_slot_survives_a_redeploy(server: Any) -> None:
    schedules = [{**HOURLY, "slug": "a"}]
    made = deploy(server, schedules=schedules, concurrency_limit=1)
    look(server, clock.now() - timedelta(hours=3))
    holder, waiting, late, *_ = runs_of(server, made)
    propose(server, holder, "PENDING")
    assert propose(server, waiting, "PENDING").state.name == "AwaitingConcurrencySlot"
    deploy(server, schedules=schedules)
    assert {run.id for run in runs_of(server, made)} == {holder.id, waiting.id, late.id}
    look(server)
    found = times(server, made)
    assert len(found) == len(set(found)) == 6


def test_runs_on_request_may_lie_in_the_past_and_are_made_once(server: Any) -> None:
    made = deploy(server, schedules=[HOURLY])
    body = ScheduleDeployment(start_time=datetime(2024, 1, 1, tzinfo=UTC), end_time=datetime(2024, 1, 1, 5, tzinfo=UTC), min_runs=4, min_time=0)
    for _ in range(2):
        assert server(deployments.SCHEDULE_DEPLOYMENT, body, id=made.id) is None
    assert times(server, made) == [datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in range(4)]
    server(deployments.SCHEDULE_DEPLOYMENT, body.model_copy(update={"min_runs": 100}), id=made.id)
    assert len(times(server, made)) == 6
    server(deployments.SCHEDULE_DEPLOYMENT, body.model_copy(update={"min_runs": 100, "max_runs": 2}), id=made.id)
    assert len(times(server, made)) == 6
    server(deployments.PAUSE_DEPLOYMENT, id=made.id)
    assert len(times(server, made)) == 6  # asked for by somebody, so no schedule takes them back


def test_servers_that_race_make_each_run_once(server: Any) -> None:
    made = [deploy(server, f"d{number}", schedules=[HOURLY, DAILY]) for number in range(6)]
    others = [Database(get_current_settings().server.database.connection_url.get_secret_value()) for _ in range(3)]
    start = datetime(2024, 1, 1, tzinfo=UTC)

    def loop(database: Database, now: datetime) -> None:
        found = 1
        while found:
            with database.write(SERVICE) as tx:
                found = scheduling.schedule_due_deployments(tx, now, 2)

    with ThreadPoolExecutor(3) as pool:
        for hour in range(5):
            list(pool.map(loop, others, [start + timedelta(hours=hour, minutes=1)] * 3))
    for deployment in made:
        found = [run.idempotency_key for run in runs_of(server, deployment)]
        assert len(found) == len(set(found))
        hourly = sorted(moment for moment in set(times(server, deployment)) if moment < start + timedelta(hours=8))
        assert hourly == sorted({start + timedelta(hours=hour) for hour in range(1, 8)})  # 09:00 in Berlin is one of them
    for database in others:
        database.close()


@pytest.mark.parametrize("word", ["deleted", "paused"])
def test_run_that_is_made_while_its_deployment_goes_is_none(server: Any, word: str) -> None:
    made = deploy(server, schedules=[HOURLY])
    with server.database.write(SERVICE) as tx:
        if word == "deleted":
            tx.sql("DELETE FROM deployment WHERE id = ?", (made.id.bytes,))
        else:
            tx.sql("UPDATE deployment SET paused = ? WHERE id = ?", (1, made.id.bytes))
        assert scheduling.schedule_deployments(tx, [made.id], clock.now()) == []
    assert server(flow_runs.COUNT_FLOW_RUNS) == 0
