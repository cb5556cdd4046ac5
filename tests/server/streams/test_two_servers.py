"""Two server processes on one database: each one's subscribers hear of what the other one wrote."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace.testing.server import server_process
from server.streams.test_background_tasks import deferred, taken, until, working
from server.streams.wires import Api, event, in_thread, joined, line, received


@pytest.fixture
def other(database: Any) -> Iterator[Api]:
    """A server in a process of its own."""
    with server_process("--no-services") as process:
        yield Api(process.url)


@pytest.fixture
def api(database: Any, serve: Callable[[], Api]) -> Api:
    """A server in this process."""
    return serve()


def test_events_and_logs_of_the_other_server_are_streamed_once(api: Api, other: Api, run: Any) -> None:
    count = 300
    sent = [event(related=[{"prefect.resource.id": "r", "prefect.resource.role": "part"}]) for _ in range(count)]
    wanted = {"event": {"prefix": ["test."]}, "related": {"id": ["r"]}}

    async def body() -> None:
        async with api.subscribed("/events/out", wanted) as events, api.subscribed("/logs/out", {"level": {"ge_": 20}}) as logs:
            await joined("events")
            await joined("logs")
            async with other.open("/events/in") as far, api.open("/events/in") as near:
                for n, one in enumerate(sent):
                    await (far if n % 2 else near).send(json.dumps(one))
                    if n % 50 == 0:
                        await in_thread((other if n % 100 else api).post, "/logs/", [line(f"{n}"), line("quiet", level=10)])
                got = await received(events, count)
                lines = await received(logs, count // 50)
            assert sorted(one["id"] for one in got) == sorted(one["id"] for one in sent)
            assert sorted(int(one["message"]) for one in lines) == list(range(0, count, 50))
            await in_thread(other.post, "/events", [last := event(related=sent[0]["related"])])
            assert [one["id"] for one in await received(events, 1)] == [last["id"]]

    run(body())


def test_a_worker_gets_runs_that_were_created_at_the_other_server(api: Api, other: Api, run: Any) -> None:
    async def body() -> None:
        async with working(api, client_id="here") as here, working(other, client_id="there") as there:
            await until(lambda: len(other.post("/task_workers/filter", {})) == 2)
            made = {(await in_thread(other.post, "/task_runs/", deferred()))["id"] for _ in range(2)}
            assert {(await taken(here, ack=False))["id"], (await taken(there, ack=False))["id"]} == made

    run(body())


def test_two_servers_never_hand_out_one_run_twice(api: Api, other: Api, run: Any) -> None:
    runs = 60

    async def work(at: Api, found: list[str]) -> None:
        async with working(at) as worker:
            while True:
                found.append((await taken(worker))["id"])

    async def body() -> None:
        found: list[str] = []
        workers = [asyncio.ensure_future(work(at, found)) for at in (api, other, api, other)]
        made = [(await in_thread(at.post, "/task_runs/", deferred()))["id"] for _ in range(runs // 2) for at in (api, other)]
        await until(lambda: len(found) >= runs)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        assert sorted(found) == sorted(made)

    run(body())
