"""The documented client methods on variables, artifacts, inputs and limits, async and blocking."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from headrace import flow
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.orchestration import get_client
from headrace.model import clock
from headrace.model.artifact_queries import ArtifactFilter, ArtifactFilterKey
from headrace.model.artifacts import ArtifactCreate, ArtifactUpdate
from headrace.model.automation_actions import DoNothing
from headrace.model.automations import AutomationCore, EventTrigger, Posture
from headrace.model.concurrency import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from headrace.model.deployments import DeploymentUpdate
from headrace.model.endpoints.events import RECORD_EVENTS
from headrace.model.errors import LeaseGone, ObjectNotFound, SlotsUnavailable
from headrace.model.event_filters import EventFilter
from headrace.model.events import Resource, SentEvent
from headrace.model.schedules import CronSchedule, DeploymentScheduleCreate, IntervalSchedule
from headrace.model.variables import VariableCreate, VariableUpdate

pytestmark = pytest.mark.usefixtures("client")

Body = Callable[[Any], Any]


@pytest.fixture(params=["blocking", "async"])
def run(request: pytest.FixtureRequest) -> Callable[[Body], None]:
    """Run a body with a client: the async one awaits each method, the blocking one calls it."""

    def work(body: Body) -> None:
        if request.param == "async":

            async def main() -> None:
                async with get_client() as client:
                    await body(client)

            asyncio.run(main())
        else:
            with get_client(sync_client=True) as client:
                _drive(body(_Awaitable(client)))

    return work


class _Awaitable:
    """A blocking client whose answers can be awaited, so that one body serves both clients."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            assert not inspect.isawaitable(answer)
            return answer

        return call


def _drive(coroutine: Any) -> None:
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_variables(run: Any) -> None:
    async def body(client: Any) -> None:
        made = await client.create_variable(VariableCreate(name="a", value=[1], tags=["x"]))
        assert await client.read_variable_by_name("a") == made
        await client.update_variable(VariableUpdate(name="a", value=2))
        assert [(one.name, one.value, one.tags) for one in await client.read_variables()] == [("a", 2, ["x"])]
        await client.delete_variable_by_name("a")
        assert await client.read_variable_by_name("a") is None
        with pytest.raises(ObjectNotFound):
            await client.delete_variable_by_name("a")

    run(body)


def test_artifacts(run: Any) -> None:
    async def body(client: Any) -> None:
        first = await client.create_artifact(ArtifactCreate(key="a", type="markdown", data="1"))
        second = await client.create_artifact(ArtifactCreate(key="a", type="markdown", data="2"))
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["a"]))
        assert [one.id for one in await client.read_artifacts(artifact_filter=wanted)] == [second.id, first.id]
        assert [one.latest_id for one in await client.read_latest_artifacts(limit=1)] == [second.id]
        await client.update_artifact(second.id, ArtifactUpdate(data="3"))
        await client.delete_artifact(first.id)
        assert [one.data for one in await client.read_artifacts()] == ["3"]

    run(body)


def test_run_inputs(run: Any) -> None:
    @flow
    def work() -> None: ...

    async def body(client: Any) -> None:
        flow_run = await client.create_flow_run(work)
        await client.create_flow_run_input(flow_run.id, "k-1", '"v"', sender="me")
        await client.create_flow_run_input(flow_run.id, "k-2", "2")
        assert await client.read_flow_run_input(flow_run.id, "k-1") == '"v"'
        [found] = await client.filter_flow_run_input(flow_run.id, "k-", 5, {"k-2"})
        assert (found.key, found.sender, found.decoded_value) == ("k-1", "me", "v")
        await client.delete_flow_run_input(flow_run.id, "k-1")
        with pytest.raises(ObjectNotFound):
            await client.read_flow_run_input(flow_run.id, "k-1")

    run(body)


def test_limits_with_names(run: Any) -> None:
    async def body(client: Any) -> None:
        made = await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="db", limit=1))
        assert (await client.read_global_concurrency_limit_by_name("db")).id == made
        held = await client.increment_concurrency_slots_with_lease(["db"], 1, "concurrency", 60)
        with pytest.raises(SlotsUnavailable):
            await client.increment_concurrency_slots(["db"], 1, "concurrency")
        await client.renew_concurrency_lease(held.lease_id, 60)
        await client.release_concurrency_slots_with_lease(held.lease_id)
        with pytest.raises(LeaseGone):
            await client.renew_concurrency_lease(held.lease_id, 60)
        [taken] = await client.increment_concurrency_slots(["db"], 1, "concurrency")
        assert taken.id == made
        await client.release_concurrency_slots(["db"], 1, 0.5)
        await client.update_global_concurrency_limit("db", GlobalConcurrencyLimitUpdate(active=False))
        await client.upsert_global_concurrency_limit_by_name("db", 4)
        await client.upsert_global_concurrency_limit_by_name("api", 2, slot_decay_per_second=0.5)
        limits = await client.read_global_concurrency_limits()
        assert [(one.name, one.limit, one.active, one.slot_decay_per_second) for one in limits] == [("api", 2, True, 0.5), ("db", 4, False, 0.0)]
        await client.delete_global_concurrency_limit_by_name("db")
        with pytest.raises(ObjectNotFound):
            await client.read_global_concurrency_limit_by_name("db")

    run(body)


def test_limits_of_tags(run: Any) -> None:
    async def body(client: Any) -> None:
        made = await client.create_concurrency_limit("gpu", 1)
        task_run_id = uuid4()
        await client.increment_v1_concurrency_slots(["gpu"], task_run_id)
        assert (await client.read_concurrency_limit_by_tag("gpu")).active_slots == [task_run_id]
        await client.decrement_v1_concurrency_slots(["gpu"], task_run_id, 1.0)
        await client.reset_concurrency_limit_by_tag("gpu", [str(task_run_id)])
        [listed] = await client.read_concurrency_limits(10, 0)
        assert (listed.id, listed.active_slots) == (made, [task_run_id])
        await client.delete_concurrency_limit_by_tag("gpu")
        with pytest.raises(ObjectNotFound):
            await client.read_concurrency_limit_by_tag("gpu")

    run(body)


def test_deployments(run: Any) -> None:
    async def body(client: Any) -> None:
        flow_id = await client.create_flow_from_name("f")
        made = await client.create_deployment(flow_id, "d", parameters={"x": 1}, tags=["t"])
        assert await client.create_deployment(flow_id, "d", description="same") == made
        found = await client.read_deployment(str(made))
        assert (found.name, found.parameters, found.tags, found.description) == ("d", {"x": 1}, ["t"], "same")
        assert (await client.read_deployment_by_name("f/d")).id == made
        await client.update_deployment(made, DeploymentUpdate(version="2"))
        assert [(one.version, one.parameters) for one in await client.read_deployments()] == [("2", {"x": 1})]
        flow_run = await client.create_flow_run_from_deployment(made, parameters={"x": 2}, tags=["u"], idempotency_key="k")
        assert (await client.create_flow_run_from_deployment(made, idempotency_key="k")).id == flow_run.id
        assert (flow_run.parameters, sorted(flow_run.tags), flow_run.state.type.value) == ({"x": 2}, ["t", "u"], "SCHEDULED")
        assert [one.id for one in await client.get_scheduled_flow_runs_for_deployments([made])] == [flow_run.id]
        for pause, resume in (
            (client.pause_deployment(made), lambda: client.resume_deployment(made)),
            (client.set_deployment_paused_state(made, True), lambda: client.set_deployment_paused_state(made, False)),
        ):
            await pause
            assert (await client.read_deployment(made)).paused
            await resume()
            assert not (await client.read_deployment(made)).paused
        await client.delete_deployment(made)
        with pytest.raises(ObjectNotFound):
            await client.read_deployment(made)
        with pytest.raises(ObjectNotFound, match="read_deployment_by_name"):
            await client.read_deployment("f/d")
        with pytest.raises(ValueError, match="flow-name/deployment-name"):
            await client.read_deployment_by_name("d")

    run(body)


def test_schedules_of_deployments(run: Any) -> None:
    async def body(client: Any) -> None:
        made = await client.create_deployment(await client.create_flow_from_name("f"), "d")
        [first] = await client.create_deployment_schedules(made, [(IntervalSchedule(interval=timedelta(hours=1)), True)], slug="hourly")
        await client.create_deployment_schedules(made, [DeploymentScheduleCreate(schedule=CronSchedule(cron="0 0 * * *"), active=False)])
        await client.update_deployment_schedule(made, first.id, active=False, parameters={"x": 1})
        found = {one.slug: one for one in await client.read_deployment_schedules(made)}
        assert (found["hourly"].active, found["hourly"].parameters, found[None].schedule.cron) == (False, {"x": 1}, "0 0 * * *")
        await client.delete_deployment_schedule(made, first.id)
        assert [one.slug for one in await client.read_deployment_schedules(made)] == [None]

    run(body)


def test_automations(run: Any) -> None:
    async def body(client: Any) -> None:
        core = AutomationCore(name="Clean", trigger=EventTrigger(expect={"x"}, posture=Posture.Reactive), actions=[DoNothing()])
        made = await client.create_automation(core)
        await client.pause_automation(made)
        assert not (await client.read_automation(made)).enabled
        await client.resume_automation(made)
        await client.update_automation(made, core.model_copy(update={"description": "all of it"}))
        found = await client.find_automation("clean")
        assert (found.id, found.enabled, found.trigger.expect, [one.type for one in found.actions]) == (made, True, {"x"}, ["do-nothing"])
        assert (await client.find_automation(str(made))).id == made
        assert [len(await client.read_automations()), len(await client.read_automations_by_name("clean"))] == [1, 0]
        await client.delete_automation(made)
        await client.delete_automation(made)
        assert (await client.read_automation(made), await client.find_automation("clean")) == (None, None)

    run(body)


def test_automations_of_a_resource(run: Any) -> None:
    async def body(client: Any) -> None:
        owner = f"prefect.deployment.{uuid4()}"
        trigger = EventTrigger(expect={"x"}, posture=Posture.Reactive)
        made = await client.create_automation(AutomationCore(name="a", trigger=trigger, actions=[DoNothing()], owner_resource=owner))
        assert [one.id for one in await client.read_resource_related_automations(owner)] == [made]
        await client.delete_resource_owned_automations(owner)
        assert await client.read_automations() == []

    run(body)


def test_pages_of_events(run: Any) -> None:
    async def body(client: Any) -> None:
        events = [SentEvent(event=f"thing.{n}", resource=Resource({"prefect.resource.id": "a"}), id=uuid4(), occurred=clock.now()) for n in range(3)]
        drive(current_client().call(RECORD_EVENTS, events))
        wanted = EventFilter.model_validate({"event": {"prefix": ["thing."]}, "order": "ASC"})
        page = await client.read_events(wanted, limit=2)
        after = await client.read_events_page(page.next_page)
        assert [one.event for one in page.events + after.events] == ["thing.0", "thing.1", "thing.2"]
        assert (page.total, after.next_page) == (3, None)
        with pytest.raises(ValueError, match="next_page"):
            await client.read_events_page("http://x")

    run(body)
