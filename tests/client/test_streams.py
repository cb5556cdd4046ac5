"""Hearing events and log lines from a server, and sending events to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.server import ServerConnection, serve

from headrace import flow, get_run_logger
from headrace.client.bridge import drive
from headrace.client.connect import current_client
from headrace.client.recording import spool
from headrace.client.schemas.filters import LogFilter
from headrace.client.spool import close_process_spool
from headrace.events import emit_event
from headrace.events.clients import (
    AssertingEventsClient,
    AssertingPassthroughEventsClient,
    HeadraceEventsClient,
    HeadraceEventSubscriber,
    NullEventsClient,
    events_in_socket_from_api_url,
    get_events_client,
    get_events_subscriber,
)
from headrace.events.subscribers import FlowRunSubscriber
from headrace.logging.clients import get_logs_subscriber, http_to_ws, logs_out_socket_from_api_url
from headrace.model.endpoints.events import FILTER_EVENTS
from headrace.model.errors import ConfigurationError, HeadraceHTTPStatusError, ServerUnreachable
from headrace.model.event_filters import EventFilter, FilterEvents
from headrace.model.events import Event, Resource
from headrace.settings import temporary_settings
from headrace.store.database import Database
from headrace.testing.server import running_server

SECONDS_MAX = 20
THING = {"prefect.resource.id": "my.thing"}


@pytest.fixture
def url(tmp_path: Path) -> Generator[str, None, None]:
    """A server that the settings name."""
    with running_server(Database(f"sqlite:///{tmp_path / 'server.db'}")) as found, temporary_settings({"HEADRACE_API_URL": found}):
        yield found
        close_process_spool()


def run(body: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(body(), SECONDS_MAX))


async def first(stream: AsyncIterator[Any], count: int) -> list[Any]:
    return [await anext(stream) for _ in range(count)]


def mine(name: str = "thing.") -> EventFilter:
    return EventFilter.model_validate({"event": {"prefix": [name]}})


def event(name: str) -> Event:
    return Event(event=name, resource=Resource(THING))


def stored() -> list[str]:
    wanted = FilterEvents(filter=EventFilter.model_validate({"event": {"prefix": ["thing."]}, "order": "ASC"}))
    return [one.event for one in drive(current_client().call(FILTER_EVENTS, wanted)).events]


def test_a_proxy_for_https_does_not_stand_before_http(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")

    async def body() -> None:
        async with get_events_subscriber(EventFilter(), reconnection_attempts=0) as stream:
            emit_event("proxied", THING)
            async for heard in stream:
                if heard.event == "proxied":
                    return

    run(body)


def test_a_proxy_is_asked_for_websockets_as_for_requests(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    async def body() -> None:
        async with get_events_subscriber(EventFilter(), reconnection_attempts=0):
            raise AssertionError("nothing listens at the proxy")

    with pytest.raises(ServerUnreachable, match="websocket"):
        run(body)


def test_addresses_of_websockets() -> None:
    assert http_to_ws("https://host/api/") == "wss://host/api"
    assert events_in_socket_from_api_url("http://host/api") == "ws://host/api/events/in"
    assert logs_out_socket_from_api_url("http://host/api") == "ws://host/api/logs/out"


def test_events_of_the_last_minute_and_new_ones_are_heard_once(url: str) -> None:
    emit_event("thing.before", THING)
    emit_event("other", THING)
    spool().flush()

    async def listen() -> list[str]:
        async with get_events_subscriber(mine()) as subscriber:
            heard = await first(subscriber, 1)
            emit_event("thing.after", THING)
            return [one.event for one in heard + await first(subscriber, 1)]

    assert run(listen) == ["thing.before", "thing.after"]


def test_log_lines_are_heard_as_they_are_written(url: str) -> None:
    @flow
    def talk() -> None:
        get_run_logger().info("one")
        get_run_logger().debug("silent")
        get_run_logger().error("two")

    async def listen() -> list[str]:
        wanted = LogFilter.model_validate({"level": {"ge_": 20}})
        async with get_logs_subscriber(wanted) as subscriber:
            await asyncio.to_thread(talk)
            heard: list[str] = []
            async for line in subscriber:
                heard.append(line.message)
                if line.message.startswith("Finished"):
                    return heard
        return []

    assert [line for line in run(listen) if line in ("one", "two", "silent")] == ["one", "two"]


def test_a_flow_run_is_followed_to_its_end(url: str) -> None:
    @flow
    def talk() -> None:
        get_run_logger().info("a line")

    talk()
    close_process_spool()
    from headrace.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        [found] = client.read_flow_runs()

    async def follow() -> list[str]:
        async with FlowRunSubscriber(found.id, straggler_timeout=0) as subscriber:
            return [one.event async for one in subscriber if isinstance(one, Event)]

    assert run(follow)[-1] == "prefect.flow-run.Completed"


def test_events_are_streamed_and_stored_once(url: str) -> None:
    async def send() -> None:
        async with get_events_client(checkpoint_every=2) as client:
            assert client.client_name == "HeadraceEventsClient"
            for number in range(5):
                await client.emit(event(f"thing.{number}"))
        async with HeadraceEventSubscriber(mine()) as subscriber:  # stored: the server says so in its order
            await first(subscriber, 5)

    run(send)
    assert stored() == [f"thing.{number}" for number in range(5)]


def test_clients_for_tests_keep_what_is_emitted(url: str) -> None:
    async def send() -> None:
        AssertingEventsClient.reset()
        async with AssertingEventsClient("x", y=1) as client:
            await client.emit(event("thing.kept"))
        assert AssertingEventsClient.last is client
        assert (client.args, client.kwargs, [one.event for one in client.pop_events()], client.events) == (("x",), {"y": 1}, ["thing.kept"], [])
        async with AssertingPassthroughEventsClient() as both:
            await both.emit(event("thing.passed"))
        assert [one.event for one in both.events] == ["thing.passed"]
        AssertingPassthroughEventsClient.reset()
        assert (AssertingPassthroughEventsClient.all, AssertingPassthroughEventsClient.last) == ([], None)
        async with NullEventsClient() as nothing:
            await nothing.emit(event("thing.dropped"))
        with pytest.raises(TypeError, match="async with"):
            await nothing.emit(event("thing.late"))
        async with HeadraceEventSubscriber(mine()) as subscriber:
            await first(subscriber, 1)

    run(send)
    assert stored() == ["thing.passed"]


def test_without_a_server_events_are_stored_and_nothing_can_be_heard() -> None:
    async def send() -> None:
        async with get_events_client() as client:
            await client.emit(event("thing.made"))

    run(send)
    assert stored() == ["thing.made"]
    for subscribe in (get_events_subscriber, get_logs_subscriber, HeadraceEventsClient):
        with pytest.raises(ConfigurationError, match="headrace server start"):
            subscribe()


# --- servers that break off ------------------------------------------------------------------------------------------------


class Breaking:
    """A server that sends what it is told to, a list for each connection, and breaks off after each."""

    def __init__(self, *connections: list[dict[str, Any]], code: int = 1011) -> None:
        self.connections = list(connections)
        self.code = code
        self.asked: list[dict[str, Any]] = []

    async def serve(self, socket: ServerConnection) -> None:
        import json

        assert json.loads(await socket.recv())["type"] == "auth"
        await socket.send('{"type": "auth_success"}')
        self.asked.append(json.loads(await socket.recv()))
        for message in self.connections.pop(0):
            await socket.send(json.dumps({"type": "event", "event": message}))
        await socket.close(self.code)


def sent(name: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "event": name,
        "occurred": "2026-01-01T12:00:00Z",
        "received": "2026-01-01T12:00:00Z",
        "resource": THING,
    }


def heard_from(server: Breaking, count: int | None, **options: Any) -> list[str]:
    async def listen() -> list[str]:
        async with serve(server.serve, "127.0.0.1", 0, subprotocols=["prefect"]) as made:  # type: ignore[list-item]  # any name will do
            port = made.sockets[0].getsockname()[1]
            with temporary_settings({"HEADRACE_API_URL": f"http://127.0.0.1:{port}/api"}):
                async with HeadraceEventSubscriber(**options) as subscriber:
                    if count is None:
                        return [one.event async for one in subscriber]
                    return [one.event for one in await first(subscriber, count)]

    return run(listen)


def test_a_subscriber_connects_again_and_repeats_nothing() -> None:
    one, two, three = sent("one"), sent("two"), sent("three")
    server = Breaking([one, two], [two, three])
    assert heard_from(server, 3) == ["one", "two", "three"]
    assert server.asked[1]["filter"]["occurred"]["since"] == "2026-01-01T11:59:00Z"


def test_a_clean_close_ends_the_iteration_unless_asked_otherwise() -> None:
    one, two = sent("one"), sent("two")
    assert heard_from(Breaking([one], [two], code=1000), None) == ["one"]
    assert heard_from(Breaking([one], [two], code=1000), 2, reconnect_on_clean_close=True) == ["one", "two"]


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with temporary_settings({"HEADRACE_API_URL": "http://127.0.0.1:1/api"}):

        async def listen() -> None:
            async with HeadraceEventSubscriber(reconnection_attempts=1):
                pass

        with pytest.raises(ServerUnreachable, match="ws://127.0.0.1:1/api/events/out"):
            run(listen)
        with pytest.raises(ValueError, match="reconnection_attempts"):
            HeadraceEventSubscriber(reconnection_attempts=-1)


def test_wrong_credentials_are_told_at_once(tmp_path: Path) -> None:
    async def listen() -> None:
        async with HeadraceEventSubscriber():
            pass

    database = Database(f"sqlite:///{tmp_path / 'server.db'}")
    with temporary_settings({"HEADRACE_SERVER_API_AUTH_STRING": "a:b"}), running_server(database) as found:
        with temporary_settings({"HEADRACE_API_URL": found, "HEADRACE_API_AUTH_STRING": "a:c"}), pytest.raises(HeadraceHTTPStatusError, match="AUTH"):
            run(listen)
        with temporary_settings({"HEADRACE_API_URL": found, "HEADRACE_API_AUTH_STRING": "a:b"}):
            run(listen)
