"""What is deleted, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.model.artifacts import ArtifactCreate
from headrace.model.endpoints import artifacts, logs
from headrace.model.logs import LogCreate
from headrace.model.states import StateType
from headrace.server.services.db_vacuum import DBVacuum
from headrace.settings import HEADRACE_SERVER_SERVICES_DB_VACUUM_ENABLED, temporary_settings
from server.services.world import World

DAY = 86_400


@pytest.fixture
def deletes_flow_runs() -> Any:
    with temporary_settings({HEADRACE_SERVER_SERVICES_DB_VACUUM_ENABLED: "events,flow_runs"}):
        yield


def ids_in(world: World, table: str) -> set[bytes]:
    return {row[0] for row in world.rows(f"SELECT id FROM {table}")}


@pytest.mark.usefixtures("deletes_flow_runs")
def test_old_ended_top_level_runs_are_deleted(world: World) -> None:
    old, running = world.run(StateType.COMPLETED), world.run(StateType.RUNNING)
    task = world.task(old)
    kept_child = world.run(StateType.COMPLETED, parent_task_run_id=world.task(running))
    world.clock.pass_time(91 * DAY)
    young = world.run(StateType.FAILED)
    world.round(DBVacuum)
    assert ids_in(world, "flow_run") == {run.bytes for run in (running, kept_child, young)}
    assert task.bytes not in ids_in(world, "task_run")


@pytest.mark.usefixtures("deletes_flow_runs")
def test_subflow_runs_follow_once_their_parent_is_gone(world: World) -> None:
    parent = world.run(StateType.COMPLETED)
    world.run(StateType.COMPLETED, parent_task_run_id=world.task(parent))
    world.clock.pass_time(91 * DAY)
    world.round(DBVacuum, DBVacuum)
    assert ids_in(world, "flow_run") == set()


def test_flow_runs_are_kept_unless_asked_for(world: World) -> None:
    run = world.run(StateType.COMPLETED)
    world.clock.pass_time(1000 * DAY)
    world.round(DBVacuum)
    assert ids_in(world, "flow_run") == {run.bytes}


@pytest.mark.usefixtures("deletes_flow_runs")
def test_logs_and_artifacts_of_deleted_runs_go_with_the_next_round(world: World) -> None:
    gone, kept = world.run(StateType.RUNNING), world.run(StateType.RUNNING)
    for run in (gone, kept, None):
        line = LogCreate(name="x", level=20, message="m", timestamp=world.clock.now(), flow_run_id=run)
        world.call(logs.CREATE_LOGS, [line])
        world.call(artifacts.CREATE_ARTIFACT, ArtifactCreate(key="k", type="markdown", data="x", flow_run_id=run))
    with world.database.write() as tx:  # as direct SQL would, which the page on maintenance shows
        tx.sql("DELETE FROM flow_run WHERE id = ?", (gone.bytes,))
    world.round(DBVacuum)
    assert [len(ids_in(world, table)) for table in ("log", "artifact")] == [3, 3]
    world.clock.pass_time(3601)
    world.round(DBVacuum)
    for table in ("log", "artifact"):
        assert {row[0] for row in world.rows(f"SELECT flow_run_id FROM {table}")} == {kept.bytes, None}
