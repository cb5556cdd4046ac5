"""Background task runs on their way to task workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from server.streams.wires import SECONDS, Api, in_thread

SCHEDULED = "/task_runs/subscriptions/scheduled"
ACK = json.dumps({"type": "ack"})


def deferred(key: str = "bg", delay: timedelta = timedelta(0), **more: Any) -> dict[str, Any]:
    """Return a background task run as clients create it."""
    details = {"deferred": True, "scheduled_time": (datetime.now(UTC) + delay).isoformat(), "task_parameters_id": str(uuid4())}
    state = {"type": "SCHEDULED", "name": "Scheduled", "state_details": details}
    return {"name": "bg", "task_key": key, "dynamic_key": f"{key}-{uuid4().hex}", "state": state, **more}


@asynccontextmanager
async def working(api: Api, *keys: str, client_id: str = "worker") -> AsyncGenerator[ClientConnection]:
    """Connect as a task worker."""
    async with api.open(SCHEDULED) as socket:
        await socket.send(json.dumps({"type": "subscribe", "keys": list(keys) or ["bg"], "client_id": client_id}))
        yield socket


async def taken(socket: ClientConnection, *, ack: bool = True) -> dict[str, Any]:
    """Return the next run that the worker gets."""
    run = json.loads(await asyncio.wait_for(socket.recv(), SECONDS))
    if ack:
        await socket.send(ACK)
    return run


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until the condition holds."""
    async with asyncio.timeout(SECONDS):
        while not (found := await in_thread(condition)):
            await asyncio.sleep(0.01)
        return found


def test_a_waiting_worker_gets_a_run_at_once(api: Api, run: Any) -> None:
    async def body() -> None:
        async with working(api) as worker:
            await until(lambda: api.post("/task_workers/filter", {}))
            made = await in_thread(api.post, "/task_runs/", deferred())
            got = await taken(worker)
        assert got["id"] == made["id"]
        assert got["state"]["state_details"]["task_parameters_id"] == made["state"]["state_details"]["task_parameters_id"]
        assert got["state_type"] == "SCHEDULED"
        assert set(got) == set(made)

    run(body())


def test_runs_wait_in_order_for_whoever_serves_their_key(api: Api, run: Any) -> None:
    async def body() -> None:
        made = [api.post("/task_runs/", deferred(key))["id"] for key in ("a", "b", "a", "c", "b")]
        async with working(api, "a", "b") as worker:
            got = [(await taken(worker))["id"] for _ in range(4)]
        assert got == [made[0], made[1], made[2], made[4]]
        async with working(api, "c") as worker:
            assert (await taken(worker))["id"] == made[3]

    run(body())


def test_a_run_that_is_not_confirmed_goes_to_another_worker(api: Api, run: Any) -> None:
    async def body() -> None:
        made = api.post("/task_runs/", deferred())["id"]
        async with working(api) as first:
            assert (await taken(first, ack=False))["id"] == made
            async with working(api) as second:
                await first.close()
                assert (await taken(second))["id"] == made
        later = api.post("/task_runs/", deferred())["id"]
        async with working(api) as third:
            assert (await taken(third))["id"] == later

    run(body())


def test_a_run_outlives_the_server(serve: Callable[[], Api], run: Any) -> None:
    from headrace.server.serving import application_in_force, serving_in_thread

    async def unconfirmed(api: Api) -> None:
        async with working(api) as worker:
            await taken(worker, ack=False)

    with serving_in_thread(application_in_force("web")) as url:
        made = Api(url).post("/task_runs/", deferred())["id"]
        run(unconfirmed(Api(url)))

    async def body() -> str:
        async with working(serve()) as worker:
            return (await taken(worker))["id"]

    assert run(body()) == made


def test_a_run_of_the_future_waits_for_its_time(api: Api, run: Any) -> None:
    async def body() -> None:
        async with working(api) as worker:
            later = await in_thread(api.post, "/task_runs/", deferred(delay=timedelta(seconds=0.5)))
            sooner = await in_thread(api.post, "/task_runs/", deferred())
            assert (await taken(worker))["id"] == sooner["id"]
            assert (await taken(worker))["id"] == later["id"]
            assert datetime.now(UTC) >= datetime.fromisoformat(later["state"]["state_details"]["scheduled_time"])

    run(body())


def test_a_cancelled_run_is_not_handed_out(api: Api, run: Any) -> None:
    async def body() -> None:
        cancelled, deleted, wanted = (api.post("/task_runs/", deferred())["id"] for _ in range(3))
        api.post(f"/task_runs/{cancelled}/set_state", {"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True})
        httpx.delete(f"{api.url}/task_runs/{deleted}").raise_for_status()
        async with working(api) as worker:
            assert (await taken(worker))["id"] == wanted

    run(body())


def test_a_failed_run_is_queued_again_with_its_parameters(api: Api, run: Any) -> None:
    async def body() -> None:
        made = api.post("/task_runs/", deferred(empirical_policy={"retries": 1, "retry_delay": 0}))
        async with working(api) as worker:
            await taken(worker)
            for state in ("PENDING", "RUNNING"):
                answer = await in_thread(api.post, f"/task_runs/{made['id']}/set_state", {"state": {"type": state}})
                assert answer["status"] == "ACCEPT"
            answer = await in_thread(api.post, f"/task_runs/{made['id']}/set_state", {"state": {"type": "FAILED"}})
            assert (answer["status"], answer["state"]["name"]) == ("REJECT", "AwaitingRetry")
            again = await taken(worker)
        assert again["id"] == made["id"]
        details = made["state"]["state_details"]
        assert again["state"]["state_details"]["task_parameters_id"] == details["task_parameters_id"]

    run(body())


def test_many_workers_share_many_runs_and_none_is_taken_twice(api: Api, run: Any) -> None:
    runs, workers = 200, 5

    async def work(found: list[str]) -> None:
        async with working(api) as worker:
            while True:
                found.append((await taken(worker))["id"])

    async def body() -> None:
        found: list[str] = []
        tasks = [asyncio.ensure_future(work(found)) for _ in range(workers)]
        made = {(await in_thread(api.post, "/task_runs/", deferred()))["id"] for _ in range(runs)}
        async with asyncio.timeout(SECONDS):
            while len(found) < runs:
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(found) == sorted(made)

    run(body())


def test_workers_are_listed_while_they_are_connected(api: Api, run: Any) -> None:
    def listed(keys: list[str] | None = None) -> dict[str, list[str]]:
        wanted = {"task_worker_filter": {"task_keys": keys}} if keys else {}
        return {one["identifier"]: one["task_keys"] for one in api.post("/task_workers/filter", wanted)}

    async def body() -> None:
        async with working(api, "a", "b", client_id="one") as one, working(api, "c", client_id="two"), working(api, "d", client_id="one"):
            everybody = {"one": ["a", "b", "d"], "two": ["c"]}
            assert await until(lambda: listed() == everybody)
            assert await in_thread(listed, ["b", "x"]) == {"one": ["a", "b", "d"]}
            await one.close()
            assert await until(lambda: listed() == {"one": ["d"], "two": ["c"]})
        assert await until(lambda: listed() == {})

    run(body())


@pytest.mark.parametrize("answer", [{"type": "x"}, {}])
def test_an_answer_that_is_none_gives_the_run_back(api: Api, run: Any, answer: dict[str, Any]) -> None:
    async def body() -> None:
        made = api.post("/task_runs/", deferred())["id"]
        async with working(api) as worker:
            await taken(worker, ack=False)
            await worker.send(json.dumps(answer))
            await asyncio.wait_for(worker.wait_closed(), SECONDS)
            assert (worker.close_code, worker.close_reason) == (4001, "Protocol violation: expected 'ack' or 'quit' message")
        async with working(api) as worker:
            assert (await taken(worker))["id"] == made

    run(body())
