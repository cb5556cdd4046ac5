"""How websockets are opened, and what closes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.streams.wires import SECONDS, Api

TOKEN = "admin:pass"
AUTH = {"type": "auth", "token": TOKEN}
OUT = ("/events/out", "/logs/out")
SCHEDULED = "/task_runs/subscriptions/scheduled"
ALL = ("/events/in", *OUT, SCHEDULED)


@pytest.fixture
def guarded(serve: Callable[[], Api], monkeypatch: pytest.MonkeyPatch) -> Api:
    """A server with an auth string."""
    monkeypatch.setenv("HEADRACE_SERVER_API_AUTH_STRING", TOKEN)
    return serve()


async def _end(api: Api, path: str, *messages: Any, subprotocols: tuple[str, ...] = ("prefect",)) -> tuple[list[Any], int, str]:
    """Send messages; return what came until the server closed, and with which code and reason."""
    found: list[Any] = []
    offered: Any = list(subprotocols) or None
    async with connect(api.url.replace("http", "ws", 1) + path, subprotocols=offered) as socket:
        with suppress(ConnectionClosed):
            for message in messages:
                await socket.send(message if isinstance(message, str) else json.dumps(message))
            while True:
                found.append(json.loads(await asyncio.wait_for(socket.recv(), SECONDS)))
        return found, socket.close_code or 0, socket.close_reason or ""


REFUSED_AUTHENTICATION: list[tuple[Any, str]] = [
    ({"type": "auth", "token": "x"}, "Invalid token"),
    ({"type": "auth", "token": None}, "Auth required but no token provided"),
    ({"type": "auth"}, "Auth required but no token provided"),
    ({"type": "filter", "filter": {}}, "Expected 'auth' message"),
    ("hello", "Expected 'auth' message"),
    ("[]", "Expected 'auth' message"),
]


@pytest.mark.parametrize("path", ALL)
def test_nobody_gets_in_without_the_token(guarded: Api, run: Any, path: str) -> None:
    for message, reason in REFUSED_AUTHENTICATION:
        assert run(_end(guarded, path, message)) == ([], 1008, reason)


@pytest.mark.parametrize("path", ALL)
def test_without_the_subprotocol_a_guarded_server_answers_403(guarded: Api, run: Any, path: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        run(_end(guarded, path, AUTH, subprotocols=()))
    assert caught.value.response.status_code == 403


VIOLATIONS: list[tuple[str, Any, int, str]] = [
    *((path, {"type": "x"}, 1002, "Expected 'filter' message") for path in OUT),
    *((path, "hello", 1002, "Expected 'filter' message") for path in OUT),
    (SCHEDULED, {"type": "x"}, 4001, "Protocol violation: expected 'subscribe' message"),
    (SCHEDULED, {"type": "subscribe"}, 4001, "Protocol violation: expected 'keys' in subscribe message"),
    (SCHEDULED, {"type": "subscribe", "keys": []}, 4001, "Protocol violation: expected 'keys' in subscribe message"),
    (SCHEDULED, {"type": "subscribe", "keys": ["k"]}, 4001, "Protocol violation: expected 'client_id' in subscribe message"),
]


def test_what_breaks_the_protocol_closes_with_its_code(guarded: Api, run: Any) -> None:
    for path, message, code, reason in VIOLATIONS:
        assert run(_end(guarded, path, AUTH, message)) == ([{"type": "auth_success"}], code, reason), (path, message)


BAD_FILTERS: list[tuple[str, Any]] = [
    ("/events/out", {"occurred": {"since": "zz"}}),
    ("/events/out", {"x" * 500: 1}),
    ("/events/out", None),
    ("/logs/out", {"level": {"ge_": "zz"}}),
    ("/logs/out", {"é" * 100: 1}),
]


def test_a_bad_filter_is_named_in_the_reason_however_long(guarded: Api, run: Any) -> None:
    for path, wanted in BAD_FILTERS:
        _, code, reason = run(_end(guarded, path, AUTH, {"type": "filter", "filter": wanted}))
        assert code == 1002
        assert reason.startswith("Invalid filter: ")
        assert len(reason.encode()) <= 123


def test_any_token_is_fine_where_none_is_asked_for(api: Api, run: Any) -> None:
    assert run(_end(api, "/events/out", {"type": "auth", "token": "zzz"}, {"type": "x"}))[0] == [{"type": "auth_success"}]


def test_without_the_subprotocol_there_is_no_handshake(api: Api, run: Any) -> None:
    assert run(_end(api, "/events/out", {"type": "x"}, subprotocols=())) == ([], 1002, "Expected 'filter' message")


def test_there_is_no_other_websocket(api: Api, run: Any) -> None:
    with pytest.raises(InvalidStatus) as caught:
        run(_end(api, "/nothing", AUTH))
    assert caught.value.response.status_code == 403


def test_a_task_worker_that_quits_is_let_go(api: Api, run: Any) -> None:
    subscribe = {"type": "subscribe", "keys": ["k"], "client_id": "c"}
    assert run(_end(api, SCHEDULED, {"type": "auth", "token": None}, subscribe, {"type": "quit"}))[1:] == (1000, "")


def test_a_server_that_stops_says_so(run: Any) -> None:
    from headrace.server.serving import application_in_force, serving_in_thread

    async def body() -> tuple[int, str]:
        with serving_in_thread(application_in_force("web")) as url:
            socket = await connect(url.replace("http", "ws", 1) + "/logs/out", subprotocols=["prefect"])
            await socket.send(json.dumps({"type": "auth", "token": None}))
            await socket.recv()
            await socket.send(json.dumps({"type": "filter", "filter": {}}))
            left = asyncio.ensure_future(socket.wait_closed())
            await asyncio.sleep(0)
        await asyncio.wait_for(left, SECONDS)
        return socket.close_code or 0, socket.close_reason or ""

    assert run(body()) == (1012, "The server is stopping; connect again")
