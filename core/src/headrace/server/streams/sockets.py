"""One websocket as ASGI gives it, and the handshake that opens all of them.

The protocol: the client offers the subprotocol `prefect` and sends `{"type": "auth", "token": …}` first; the server answers
`{"type": "auth_success"}`. Without the subprotocol no handshake takes place, which only a server without an auth string accepts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from secrets import compare_digest
from typing import Any, cast

SUBPROTOCOL = "prefect"
HANDSHAKE_SECONDS_MAX = 30.0
CLOSE_SECONDS_MAX = 5.0
REASON_BYTES_MAX = 123  # RFC 6455 §5.5: a control frame holds 125 bytes, two of which are the code

PROTOCOL_ERROR = 1002
POLICY_VIOLATION = 1008
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
SUBSCRIPTION_VIOLATION = 4001

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Closed(Exception):
    """The other side is gone, or this side has closed the connection."""


class Socket:
    """A websocket. All methods raise `Closed` once it is closed."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self.is_closed = False

    @property
    def client(self) -> str:
        """Who is there, for logs."""
        return ":".join(map(str, self.scope.get("client") or ("unknown client",)))

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers."""
        return list(self.scope.get("subprotocols") or ())

    async def accept(self, subprotocol: str | None = None) -> None:
        """Open the connection."""
        await self._tell({"type": "websocket.accept", "subprotocol": subprotocol})

    async def refuse(self) -> None:
        """Answer the request to open with HTTP 403."""
        self.is_closed = True
        await self._send({"type": "websocket.close", "code": POLICY_VIOLATION})

    async def text(self) -> str:
        """Wait for a message."""
        message = await self.receive()
        if message["type"] != "websocket.receive":
            self.is_closed = True
            raise Closed
        text = message.get("text")
        return text if text is not None else bytes(message["bytes"]).decode("utf-8", "replace")

    async def message(self) -> dict[str, Any]:
        """Wait for a message that is a JSON object; anything else counts as an empty one."""
        try:
            found = json.loads(await self.text())
        except ValueError:
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    async def send(self, text: str) -> None:
        """Send a message; waits while the client is slow to read."""
        await self._tell({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection. A client that does not read is not waited for any longer than a moment."""
        if self.is_closed:
            return
        self.is_closed = True
        cut = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        with suppress(TimeoutError, OSError, RuntimeError):  # it is gone: closing is all that was wanted
            await asyncio.wait_for(self._send({"type": "websocket.close", "code": code, "reason": cut}), CLOSE_SECONDS_MAX)

    async def until_closed(self) -> None:
        """Read on, and drop what comes, until the client goes away."""
        try:
            while True:
                await self.text()
        except Closed:
            return

    async def _tell(self, message: dict[str, Any]) -> None:
        if self.is_closed:
            raise Closed
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:  # what ASGI servers raise when the client is gone
            self.is_closed = True
            raise Closed from error


async def open_socket(socket: Socket, auth_string: str | None) -> bool:
    """Open a connection with the handshake; return whether it may be used. Otherwise it is refused or closed already."""
    await socket.receive()  # websocket.connect
    if SUBPROTOCOL not in socket.subprotocols:
        if auth_string:
            await socket.refuse()
            return False
        await socket.accept()
        return True
    await socket.accept(SUBPROTOCOL)
    try:
        message = await asyncio.wait_for(socket.message(), HANDSHAKE_SECONDS_MAX)
    except TimeoutError:
        await socket.close(POLICY_VIOLATION, f"No 'auth' message within {HANDSHAKE_SECONDS_MAX:.0f} seconds")
        return False
    complaint = _complaint(message, auth_string)
    if complaint:
        await socket.close(POLICY_VIOLATION, complaint)
        return False
    await socket.send('{"type":"auth_success"}')
    return True


def _complaint(message: dict[str, Any], auth_string: str | None) -> str | None:
    if message.get("type") != "auth":
        return "Expected 'auth' message"
    if not auth_string:
        return None
    token = message.get("token")
    if not token:
        return "Auth required but no token provided"
    if not compare_digest(str(token).encode(), auth_string.encode()):
        return "Invalid token"
    return None
