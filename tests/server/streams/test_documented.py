"""The documented functions on streams, in a process with and without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.websockets import WebSocket

from headrace.model.caller import SERVICE
from headrace.model.endpoints.logs import CREATE_LOGS
from headrace.model.event_filters import Countable, EventFilter, EventNameFilter
from headrace.model.events import Event, Resource
from headrace.model.logs import Log, LogCreate
from headrace.model.run_filters import LogFilter, LogFilterLevel
from headrace.operations import table
from headrace.server.api import events as events_api
from headrace.server.database import database_in_force
from headrace.server.lanes import Lane
from headrace.server.logs import stream
from headrace.server.services.base import RunInAllServers
from headrace.server.streams.hub import Streams
from headrace.settings import get_current_settings
from server.streams.wires import SECONDS, event, in_thread, line

LOUD = LogFilter(level=LogFilterLevel(ge_=30))


@asynccontextmanager
async def _streams() -> AsyncGenerator[Streams]:
    writer, reader = Lane("writer", 1), Lane("reader", 1)
    streams = Streams(database_in_force(), writer, reader, get_current_settings())
    await streams.start()
    try:
        yield streams
    finally:
        await streams.stop()
        writer.close()
        reader.close()


class _Peer:
    """The other side of a websocket that an application of Starlette has."""

    def __init__(self, *messages: Any) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self.messages.put_nowait({"type": "websocket.connect"})
        for message in ({"type": "auth", "token": None}, *messages):
            self.messages.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def socket(self) -> WebSocket:
        return WebSocket({"type": "websocket", "subprotocols": ["prefect"], "client": ("peer", 1)}, self.messages.get, self._sent.put)

    async def next(self) -> Any:
        while True:
            message = await asyncio.wait_for(self._sent.get(), SECONDS)
            if message["type"] == "websocket.send":
                return json.loads(message["text"])


async def _next(queue: asyncio.Queue[Log]) -> str:
    return (await asyncio.wait_for(queue.get(), SECONDS)).message


def test_a_queue_gets_the_lines_that_its_filter_wants_from_the_server_of_its_loop(run: Any) -> None:
    async def body() -> list[str]:
        async with _streams() as streams, stream.subscribed(LOUD) as queue:
            lines = [LogCreate.model_validate(line(text, level=level)) for text, level in (("one", 30), ("two", 20), ("three", 40))]
            await in_thread(table.answer, streams.database, CREATE_LOGS, lines, {}, SERVICE)
            return [await _next(queue), await _next(queue)]

    assert run(body()) == ["one", "three"]


def test_websockets_of_another_application_are_served(run: Any) -> None:
    sent = event()

    async def body() -> Any:
        async with _streams():
            out, into = _Peer({"type": "filter", "filter": {"event": {"prefix": ["test."]}}}), _Peer(sent)
            tasks = [
                asyncio.ensure_future(events_api.stream_workspace_events_out(out.socket())),
                asyncio.ensure_future(events_api.stream_events_in(into.socket())),
            ]
            assert await out.next() == {"type": "auth_success"}
            assert await into.next() == {"type": "auth_success"}
            found = await out.next()
            for peer in (out, into):
                peer.messages.put_nowait({"type": "websocket.disconnect", "code": 1000})
            await asyncio.gather(*tasks)
            return found["event"]["id"]

    assert run(body()) == sent["id"]


def test_without_a_server_there_is_nothing_to_serve_from(run: Any) -> None:
    with pytest.raises(RuntimeError, match="No server runs in this event loop"):
        run(events_api.stream_events_in(_Peer().socket()))


def test_messages_are_handed_to_subscribers(run: Any) -> None:
    async def body() -> str:
        async with stream.subscribed(LOUD) as queue, stream.distributor() as handle:
            for text, level in (("quiet", 10), ("loud", 50)):
                await handle(SimpleNamespace(data=json.dumps(line(text, level=level, id=event()["id"]))))
            return await _next(queue)

    assert run(body()) == "loud"


def test_the_distributor_hands_on_what_is_written_to_the_database(run: Any) -> None:
    from headrace import flow, get_run_logger

    @flow
    def warn() -> None:
        get_run_logger().warning("from a flow")

    async def body() -> list[str | None]:
        await stream.start_distributor()
        await stream.start_distributor()
        found: list[str | None] = []
        async with stream.logs(LOUD) as lines:
            asyncio.get_running_loop().run_in_executor(None, warn)
            async for one in lines:
                if one is not None:
                    found.append(one.message)
                    break
        await stream.stop_distributor()
        async with stream.logs(LOUD) as lines:
            await in_thread(warn)
            async for one in lines:
                found.append(one and one.message)
                break
        return found

    assert run(body()) == ["from a flow", None]


def test_the_distributor_is_a_service_of_all_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stream.LogDistributor in RunInAllServers.all_services()
    assert stream.LogDistributor.environment_variable_name() == "HEADRACE_SERVER_LOGS_STREAM_OUT_ENABLED"
    assert stream.LogDistributor.enabled()


def test_events_are_created_read_and_counted(run: Any) -> None:
    made = [Event(event=f"test.{n % 2}", resource=Resource({"prefect.resource.id": f"thing.{n}"})) for n in range(5)]

    async def body() -> None:
        await events_api.create_events(made)
        mine = EventFilter(event=EventNameFilter(prefix=["test."]))
        first = await events_api.read_events(SimpleNamespace(base_url="http://here/"), mine, 3)
        assert [one.id for one in first.events] == [one.id for one in reversed(made)][:3]
        assert first.total == 5
        assert first.next_page is not None
        assert first.next_page.startswith("http://here/api/events/filter/next?page-token=")
        second = await events_api.read_account_events_page(page_token=first.next_page.partition("page-token=")[2])
        assert [one.id for one in second.events] == [one.id for one in reversed(made)][3:]
        counts = await events_api.count_account_events(mine, Countable.event)
        assert {one.value: one.count for one in counts} == {"test.0": 3, "test.1": 2}

    run(body())
