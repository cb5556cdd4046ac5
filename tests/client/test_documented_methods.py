"""The documented client methods on variables, artifacts, inputs and limits, async and blocking."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from headrace import flow
from headrace.client.orchestration import get_client
from headrace.model.artifact_queries import ArtifactFilter, ArtifactFilterKey
from headrace.model.artifacts import ArtifactCreate, ArtifactUpdate
from headrace.model.concurrency import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from headrace.model.errors import LeaseGone, ObjectNotFound, SlotsUnavailable
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
