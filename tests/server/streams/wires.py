"""A client that speaks to a server's websockets, and what it sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect

from headrace.server.streams.hub import running

SECONDS = 20.0
"""Long enough for whatever ought to happen, on a busy machine."""


@dataclass
class Api:
    """The address of a server's API, and what tests ask of it."""

    url: str
    token: str | None = None
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=SECONDS))

    def post(self, path: str, body: Any) -> Any:
        """Send a request; return the answer's JSON."""
        auth = tuple(self.token.split(":", 1)) if self.token else None
        answer = self._client.post(self.url + path, json=body, auth=auth)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    @asynccontextmanager
    async def open(self, path: str, **arguments: Any) -> AsyncGenerator[ClientConnection]:
        """Open a websocket with the handshake."""
        async with connect(self.url.replace("http", "ws", 1) + path, subprotocols=["prefect"], **arguments) as socket:
            await socket.send(json.dumps({"type": "auth", "token": self.token}))
            assert json.loads(await socket.recv()) == {"type": "auth_success"}
            yield socket

    @asynccontextmanager
    async def subscribed(self, path: str, wanted: dict[str, Any] | None = None, **more: Any) -> AsyncGenerator[ClientConnection]:
        """Subscribe to logs, or to events: those of tests unless `wanted` says otherwise, since a server tells of what it does itself too."""
        if wanted is None:
            wanted = {"event": {"prefix": ["test."]}} if path == "/events/out" else {}
        async with self.open(path) as socket:
            await socket.send(json.dumps({"type": "filter", "filter": wanted, **more}))
            yield socket


def event(name: str = "test.thing", **more: Any) -> dict[str, Any]:
    """Return an event as clients send it."""
    made = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": name, "resource": {"prefect.resource.id": "test.1"}}
    return {**made, "related": [], "payload": {}, "follows": None, **more}


def line(message: str = "hello", **more: Any) -> dict[str, Any]:
    """Return a log line as clients send it."""
    return {"name": "test", "level": 20, "message": message, "timestamp": datetime.now(UTC).isoformat(), **more}


async def received(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    """Return the next messages' events or logs."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = json.loads(await asyncio.wait_for(socket.recv(), SECONDS))
        found.append(message[message["type"]])
    return found


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call what blocks beside the event loop."""
    return await asyncio.to_thread(function, *arguments)


async def joined(topic: str) -> None:
    """Wait until somebody receives `topic` from the server that was started last in this process."""
    async with asyncio.timeout(SECONDS):
        while topic not in [one.name for one in running[-1].bus.wanted]:
            await asyncio.sleep(0.005)
