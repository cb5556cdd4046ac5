"""Which services a process runs, and how they share their work."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any

import pytest

from headrace.model.errors import StoreUnavailable
from headrace.model.states import StateType
from headrace.server.services.base import Service
from headrace.server.services.builtin import SERVICES
from headrace.server.services.late_runs import MarkLateRuns
from headrace.server.services.passive import Distributor, LogDistributor
from headrace.server.services.runtime import running, runs_in
from headrace.server.services.steps import StepService
from headrace.server.services.zombies import Presence, ZombieDetection
from headrace.settings import HEADRACE_SERVER_SERVICES_ZOMBIE_DETECTION_ENABLED, get_current_settings, temporary_settings
from headrace.store.database import Transaction
from server.services.world import World


def test_web_servers_run_only_what_answering_needs() -> None:
    web = {one.__name__ for one in SERVICES if runs_in(one, "web")}
    assert web == {"Presence", "EventLogger", "Distributor", "LogDistributor"}


def test_every_service_runs_in_one_of_two_split_processes() -> None:
    split = {one for one in SERVICES if runs_in(one, "web") or runs_in(one, "services")}
    assert split == set(SERVICES) == {one for one in SERVICES if runs_in(one, "all")}
    assert runs_in(Distributor, "services") and runs_in(LogDistributor, "services")
    assert not runs_in(Presence, "services") and runs_in(ZombieDetection, "services")


def test_services_list_and_switches_are_documented() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[3] / "core/docs/services.md").read_text()
    missing = [one.__name__ for one in SERVICES if f"`{one.__name__}`" not in page or f"`{one.environment_variable_name()}`" not in page]
    assert missing == []


async def eventually(done: object) -> None:
    assert callable(done)
    while not await asyncio.to_thread(done):
        await asyncio.sleep(0.02)


def test_running_does_the_work_of_all_services(world: World) -> None:
    late = world.scheduled(-60)
    cancelled = world.run(StateType.RUNNING)
    task = world.task(cancelled)
    world.move(cancelled, StateType.CANCELLED)

    async def scenario() -> None:
        async with running(get_current_settings(), world.database):
            await asyncio.wait_for(eventually(lambda: world.state_of(late) == "Late" and world.task_run(task).state_name == "Cancelled"), 20)

    asyncio.run(scenario())


def test_settings_given_decide_what_runs(world: World) -> None:
    late = world.scheduled(-60)
    with temporary_settings({HEADRACE_SERVER_SERVICES_ZOMBIE_DETECTION_ENABLED: False}):
        settings = get_current_settings()

    async def scenario() -> None:
        async with running(settings, world.database):
            await asyncio.wait_for(eventually(lambda: world.state_of(late) == "Late"), 20)

    asyncio.run(scenario())
    assert world.rows("SELECT kind FROM sign_of_life") == []


def test_web_server_marks_no_late_runs_but_says_that_it_is_there(world: World) -> None:
    late = world.scheduled(-60)

    async def scenario() -> None:
        async with running(get_current_settings(), world.database, "web"):
            await asyncio.wait_for(eventually(lambda: world.rows("SELECT kind FROM sign_of_life")), 20)

    asyncio.run(scenario())
    assert world.state_of(late) == "Scheduled"


def test_step_that_fails_is_logged_and_the_next_steps_are_taken(world: World, headrace_caplog: pytest.LogCaptureFixture) -> None:
    taken: list[str] = []

    def fails(tx: Transaction, now: datetime, limit: int) -> int:
        raise ValueError("bad row")

    def works(tx: Transaction, now: datetime, limit: int) -> int:
        taken.append("works")
        return limit if len(taken) < 3 else 0

    class Mixed(StepService):
        loop_seconds = 60

        def steps(self) -> list[Any]:
            return [fails, works]

    with headrace_caplog.at_level(logging.ERROR):
        world.round(Mixed)
    assert taken == ["works"] * 3
    assert "The service Mixed could not do its work. It tries again in 60 seconds." in headrace_caplog.text


def test_outage_of_the_database_is_told_once(world: World, headrace_caplog: pytest.LogCaptureFixture) -> None:
    answers: list[object] = [StoreUnavailable("Nobody is at home."), StoreUnavailable("Still nobody."), 0, StoreUnavailable("Gone again.")]

    def step(tx: Transaction, now: datetime, limit: int) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return 0

    class Patient(StepService):
        loop_seconds = 0.001

        def steps(self) -> list[Any]:
            return [step]

    asyncio.run(Patient.on(world.database).start(loops=4))
    told = [record.getMessage() for record in headrace_caplog.records]
    assert told == [
        f"The service Patient waits for the database, and tries every 0.001 seconds. {why}" for why in ("Nobody is at home.", "Gone again.")
    ]


def test_one_bad_run_does_not_hold_up_the_others(world: World, headrace_caplog: pytest.LogCaptureFixture) -> None:
    runs = [world.scheduled(-seconds) for seconds in (60, 50, 40)]
    with world.database.write() as tx:
        tx.sql("UPDATE flow_run SET empirical_policy = '[1]' WHERE id = ?", (runs[1].bytes,))
    world.round(MarkLateRuns)
    assert [world.rows("SELECT state_name FROM flow_run WHERE id = ?", run.bytes)[0][0] for run in runs] == ["Late", "Scheduled", "Late"]
    assert str(runs[1]) in headrace_caplog.text


def test_service_without_a_database_uses_that_of_the_settings(world: World) -> None:
    run = world.scheduled(-60)
    asyncio.run(MarkLateRuns().start(loops=1))
    assert world.state_of(run) == "Late"


def test_every_service_says_what_it_does() -> None:
    assert [one.__name__ for one in SERVICES if not one.__doc__ or not issubclass(one, Service)] == []
