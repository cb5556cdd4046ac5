"""The page that says how a task worker is: `GET /status`, as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

READ_SECONDS_MAX = 5.0
HEAD_BYTES_MAX = 16_384


class StatusServer:
    """Answers one request a connection; nothing but its own page."""

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self._status = status
        self._server: asyncio.Server | None = None

    @classmethod
    async def start(cls, status: Callable[[], dict[str, Any]], port: int, host: str = "0.0.0.0") -> StatusServer:
        """Listen. Raises `OSError` when the port is taken."""
        server = cls(status)
        server._server = await asyncio.start_server(server._answer, host, port, limit=HEAD_BYTES_MAX)
        return server

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), READ_SECONDS_MAX)
            method, _, rest = head.partition(b" ")
            path = rest.split(b" ", 1)[0].split(b"?", 1)[0].rstrip(b"/")
            if path != b"/status":
                line, body = "404 Not Found", {"detail": "Not Found"}
            elif method not in (b"GET", b"HEAD"):
                line, body = "405 Method Not Allowed", {"detail": "Method Not Allowed"}
            else:
                line, body = "200 OK", self._status()
            content = json.dumps(body).encode()
            writer.write(f"HTTP/1.1 {line}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode())
            writer.write(b"" if method == b"HEAD" else content)
            await writer.drain()
        with suppress(OSError):
            writer.close()
            await writer.wait_closed()
