"""Services whose work is done in the transaction that receives the data: their settings are obeyed there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.model import ids
from headrace.model.endpoints.events import RECORD_EVENTS
from headrace.model.events import SentEvent
from headrace.server.services.event_logger import EventLogger
from headrace.server.services.passive import Distributor, EventPersister
from headrace.settings import HEADRACE_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED, temporary_settings
from server.services.world import World


def event_of_a_task_run(world: World) -> SentEvent:
    run_id = ids.new()
    resource = {"prefect.resource.id": f"prefect.task-run.{run_id}", "prefect.resource.name": "t-1", "prefect.orchestration": "client"}
    state = {"type": "RUNNING", "name": "Running", "message": "", "state_details": {}, "data": None}
    payload: dict[str, Any] = {
        "intended": {"from": None, "to": "RUNNING"},
        "initial_state": None,
        "validated_state": state,
        "task_run": {"name": "t-1", "task_key": "t", "dynamic_key": "1", "run_count": 1, "flow_run_run_count": 1},
    }
    told = {"id": ids.new(), "occurred": world.clock.now(), "event": "prefect.task-run.Running", "resource": resource, "payload": payload}
    return SentEvent.model_validate(told)


@pytest.mark.parametrize("enabled", [True, False])
def test_task_runs_are_made_of_events_unless_the_recorder_is_disabled(world: World, enabled: bool) -> None:
    with temporary_settings({HEADRACE_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED: enabled}):
        world.call(RECORD_EVENTS, [event_of_a_task_run(world)])
    assert world.rows("SELECT COUNT(*) FROM task_run") == [(int(enabled),)]


@pytest.mark.parametrize("service", [EventPersister, Distributor])
def test_service_without_a_loop_runs_until_it_is_stopped(service: type[EventPersister | Distributor]) -> None:
    async def scenario() -> None:
        one = service()
        task = asyncio.create_task(one.start())
        await asyncio.sleep(0)
        assert not task.done()
        await one.stop()
        await asyncio.wait_for(task, 5)

    asyncio.run(scenario())


def test_event_logger_shows_each_event(world: World, headrace_caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        logger = EventLogger.on(world.database)
        task = asyncio.create_task(logger.start())
        await asyncio.sleep(0)
        await asyncio.to_thread(world.call, RECORD_EVENTS, [event_of_a_task_run(world)])
        await logger.stop()
        await asyncio.wait_for(task, 5)
        await asyncio.to_thread(world.call, RECORD_EVENTS, [event_of_a_task_run(world)])

    asyncio.run(scenario())
    shown = [record.getMessage() for record in headrace_caplog.records if "prefect.task-run.Running" in record.getMessage()]
    assert len(shown) == 1 and shown[0].startswith("2026-01-01T00:00:00.000+00:00 prefect.task-run.Running prefect.task-run.")
