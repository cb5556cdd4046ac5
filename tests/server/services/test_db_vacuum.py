"""What is deleted, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.model import ids
from headrace.model.artifacts import ArtifactCreate
from headrace.model.endpoints import artifacts, logs
from headrace.model.endpoints.events import RECORD_EVENTS
from headrace.model.events import RelatedResource, Resource, SentEvent
from headrace.model.logs import LogCreate
from headrace.model.states import StateType
from headrace.server.services.db_vacuum import DBVacuum
from headrace.settings import (
    HEADRACE_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE,
    HEADRACE_SERVER_SERVICES_DB_VACUUM_ENABLED,
    HEADRACE_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES,
    HEADRACE_SERVER_SERVICES_EVENT_PERSISTER_ENABLED,
    temporary_settings,
)
from server.services.world import World

DAY = 86_400


@pytest.fixture
def deletes_flow_runs() -> Any:
    with temporary_settings({HEADRACE_SERVER_SERVICES_DB_VACUUM_ENABLED: "events,flow_runs"}):
        yield


def emit(world: World, name: str) -> None:
    resource = {"prefect.resource.id": "x.1"}
    related = RelatedResource({"prefect.resource.id": "y.1", "prefect.resource.role": "other"})
    world.call(RECORD_EVENTS, [SentEvent(id=ids.new(), occurred=world.clock.now(), event=name, resource=Resource(resource), related=[related])])


def events(world: World) -> list[str]:
    return [row[0] for row in world.rows("SELECT event FROM events ORDER BY occurred, event") if row[0].startswith(("a.", "b."))]


def test_old_events_are_deleted_with_their_resources(world: World) -> None:
    for name in ("a.1", "a.2"):
        emit(world, name)
    world.clock.pass_time(4 * DAY)
    emit(world, "a.3")
    world.clock.pass_time(3 * DAY + 1)
    world.round(DBVacuum)
    assert events(world) == ["a.3"]
    assert world.rows("SELECT COUNT(*) FROM event_resources r WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = r.event_id)") == [(0,)]


def test_some_kinds_of_events_are_kept_for_a_shorter_time(world: World) -> None:
    for name in ("a.short", "b.long"):
        emit(world, name)
    world.clock.pass_time(2 * DAY)
    shorter = {HEADRACE_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES: {"a.short": DAY, "b.long": 100 * DAY}}
    with temporary_settings(shorter):
        world.round(DBVacuum)
        assert events(world) == ["b.long"]
        world.clock.pass_time(6 * DAY)
        world.round(DBVacuum)
    assert events(world) == []


def test_more_old_events_than_a_batch_are_all_deleted_in_one_round(world: World) -> None:
    for n in range(7):
        emit(world, f"a.{n}")
    world.clock.pass_time(8 * DAY)
    with temporary_settings({HEADRACE_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE: 3}):
        world.round(DBVacuum)
    assert events(world) == []


def test_events_stay_where_nobody_stores_new_ones(world: World) -> None:
    emit(world, "a.1")
    world.clock.pass_time(30 * DAY)
    with temporary_settings({HEADRACE_SERVER_SERVICES_EVENT_PERSISTER_ENABLED: False}):
        world.round(DBVacuum)
    assert events(world) == ["a.1"]


def test_events_are_only_streamed_when_their_persister_is_disabled(world: World) -> None:
    heard: list[str] = []
    world.database.listeners.append(lambda published: heard.extend(event.event for topic, sent in published if topic == "events" for event in sent))
    with temporary_settings({HEADRACE_SERVER_SERVICES_EVENT_PERSISTER_ENABLED: False}):
        emit(world, "a.1")
    assert (events(world), heard) == ([], ["a.1"])


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


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_round_on_a_small_database_does_not_make_a_large_one_slow(world: World) -> None:
    """SQLite plans by statistics where there are any. Taken of a young table they say that looking at every row is cheap, and stay."""
    for number in range(18):
        emit(world, f"a.{number}")
    wanted = [row[0] for row in world.rows("SELECT id FROM events")]
    lookup = f"SELECT id FROM events e WHERE e.id IN ({', '.join('?' * len(wanted))}) AND e.payload <> ''"
    world.rows(lookup, *wanted)
    world.round(DBVacuum)
    world.database.close()  # plans are made anew by a connection that is
    [plan] = world.rows(f"EXPLAIN QUERY PLAN {lookup}", *wanted)
    assert plan[3].startswith("SEARCH e USING INDEX"), plan
