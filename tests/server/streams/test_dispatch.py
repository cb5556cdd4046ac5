"""Work is told of as soon as it is due: to workers of its pool and to runners of its deployment, whatever process made it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from headrace.client.orchestration import HeadraceClient, get_client
from headrace.deploy.dispatch import Work, due_work
from headrace.model import clock
from headrace.model.work_pools import WorkPoolCreate, WorkPoolUpdate
from headrace.settings import temporary_settings
from headrace.states import Cancelling, Completed, Pending, Running, Scheduled
from server.streams.wires import SECONDS, Api

Run = Callable[[Coroutine[Any, Any, None]], None]


async def _deployment(client: HeadraceClient, pool: str | None = "pool", **options: Any) -> UUID:
    if pool is not None:
        await client.create_work_pool(WorkPoolCreate(name=pool, type="process", **options))
    flow = await client.create_flow_from_name("a-flow")
    return await client.create_deployment(flow_id=flow, name="d", work_pool_name=pool)


async def _greeted(heard: AsyncGenerator[Work]) -> None:
    assert {await _next(heard), await _next(heard)} == {"due", "cancelling"}


async def _next(heard: AsyncGenerator[Work]) -> Work:
    return await asyncio.wait_for(anext(heard), SECONDS)


async def _silent(heard: AsyncGenerator[Work], seconds: float = 0.8) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(heard), seconds)


def _in(api: Api, body: Callable[[HeadraceClient], Coroutine[Any, Any, None]]) -> Coroutine[Any, Any, None]:
    async def work() -> None:
        with temporary_settings({"HEADRACE_API_URL": api.url}):
            async with get_client() as client:
                await body(client)

    return work()


def test_a_run_that_is_made_is_told_to_the_worker_of_its_pool_and_the_runner_of_its_deployment(api: Api, run: Run) -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        async with aclosing(due_work(client, work_pool="pool")) as worker, aclosing(due_work(client, deployment_ids=[deployment])) as runner:
            await _greeted(worker)
            await _greeted(runner)
            waiting = asyncio.gather(_next(worker), _next(runner))
            await asyncio.sleep(0.5)  # both have subscribed and looked
            await client.create_flow_run_from_deployment(deployment)
            assert await waiting == ["due", "due"]

    run(_in(api, body))


def test_a_run_of_another_pool_is_not_told(api: Api, run: Run) -> None:
    async def body(client: HeadraceClient) -> None:
        await client.create_work_pool(WorkPoolCreate(name="other", type="process"))
        deployment = await _deployment(client)
        async with aclosing(due_work(client, work_pool="other")) as worker:
            await _greeted(worker)
            await client.create_flow_run_from_deployment(deployment)
            await _silent(worker)

    run(_in(api, body))


def test_a_run_scheduled_for_later_is_told_when_its_time_comes(api: Api, run: Run) -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        when = clock.now() + timedelta(seconds=2)
        await client.create_flow_run_from_deployment(deployment, state=Scheduled(scheduled_time=when))
        async with aclosing(due_work(client, work_pool="pool", prefetch_seconds=0.5)) as worker:
            await _greeted(worker)
            await _next(worker)
            assert clock.now() >= when - timedelta(seconds=0.6)

    run(_in(api, body))


@pytest.mark.parametrize("change", ["slot freed", "pool resumed", "rescheduled"])
def test_whatever_lets_a_run_start_is_told(api: Api, run: Run, change: str) -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client, concurrency_limit=1, is_paused=change == "pool resumed")
        made = await client.create_flow_run_from_deployment(deployment)
        await client.set_flow_run_state(made.id, Pending())
        await client.set_flow_run_state(made.id, Running())
        async with aclosing(due_work(client, work_pool="pool")) as worker:
            await _greeted(worker)
            heard = asyncio.ensure_future(_next(worker))
            await asyncio.sleep(0.1)
            assert not heard.done()
            if change == "pool resumed":
                await client.update_work_pool("pool", WorkPoolUpdate(is_paused=False))
            elif change == "slot freed":
                await client.set_flow_run_state(made.id, Completed())
            else:
                await client.set_flow_run_state(made.id, Scheduled(), force=True)
            assert await heard == "due"

    run(_in(api, body))


def test_a_cancellation_is_told_as_such(api: Api, run: Run) -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        made = await client.create_flow_run_from_deployment(deployment)
        await client.set_flow_run_state(made.id, Pending())
        await client.set_flow_run_state(made.id, Running())
        async with aclosing(due_work(client, work_pool="pool")) as worker:
            await _greeted(worker)
            heard = asyncio.ensure_future(_next(worker))
            await asyncio.sleep(0.1)
            await client.set_flow_run_state(made.id, Cancelling(), force=True)
            assert await heard == "cancelling"

    run(_in(api, body))


def test_many_workers_all_hear_of_it(api: Api, run: Run) -> None:
    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        workers = [due_work(client, work_pool="pool") for _ in range(12)]
        for worker in workers:
            await _greeted(worker)
        waiting = asyncio.gather(*(_next(worker) for worker in workers))
        await asyncio.sleep(0.1)
        await client.create_flow_run_from_deployment(deployment)
        assert await waiting == ["due"] * 12
        for worker in workers:
            await worker.aclose()

    run(_in(api, body))


def test_two_servers_of_one_database_tell_of_each_others_runs(serve: Callable[[], Api], run: Run) -> None:
    here, there = serve(), serve()

    async def body(client: HeadraceClient) -> None:
        deployment = await _deployment(client)
        async with aclosing(due_work(client, work_pool="pool")) as worker:
            await _greeted(worker)
            heard = asyncio.ensure_future(_next(worker))
            await asyncio.sleep(0.1)
            with temporary_settings({"HEADRACE_API_URL": there.url}):
                async with get_client() as elsewhere:
                    await elsewhere.create_flow_run_from_deployment(deployment)
            assert await heard == "due"

    run(_in(here, body))


def test_a_subscription_that_names_nothing_that_exists_is_closed_with_the_reason(api: Api, run: Run) -> None:
    async def body() -> None:
        for subscription, reason in (
            ({"type": "subscribe", "work_pool": "nope"}, "no work pool"),
            ({"type": "subscribe"}, "Neither"),
            ({"type": "subscribe", "deployment_ids": ["x"]}, "no list of ids"),
            ({"type": "ready"}, "expected 'subscribe'"),
        ):
            async with api.open("/flow_runs/subscriptions/due") as socket:
                await socket.send(json.dumps(subscription))
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.wait_for(socket.recv(), SECONDS)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4001
                assert reason in closed.value.rcvd.reason

    run(body())


def test_without_a_server_nothing_is_told() -> None:
    async def body() -> None:
        async with get_client() as client:
            assert [what async for what in due_work(client, deployment_ids=[uuid4()])] == []

    asyncio.run(body())
