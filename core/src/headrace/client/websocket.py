"""Websockets of a server: where they are, the handshake that opens them, and connecting again. On the library `websockets`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headrace.client.transport import proxy_of, tls_context
from headrace.model.errors import ConfigurationError, HeadraceHTTPStatusError, ServerUnreachable
from headrace.settings import get_current_settings

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

SUBPROTOCOL: Any = "prefect"
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_SECONDS_MAX = 5.0
OPEN_SECONDS_MAX = 10.0
POLICY_VIOLATION = 1008


def http_to_ws(url: str) -> str:
    """Return the address of websockets for one of HTTP: `https://host/api/` gives `wss://host/api`."""
    return url.replace("https://", "wss://", 1).replace("http://", "ws://", 1).rstrip("/")


def events_in_socket_from_api_url(url: str) -> str:
    """Return where events are sent to."""
    return f"{http_to_ws(url)}/events/in"


def events_out_socket_from_api_url(url: str) -> str:
    """Return where events are heard."""
    return f"{http_to_ws(url)}/events/out"


def logs_out_socket_from_api_url(url: str) -> str:
    """Return where log lines are heard."""
    return f"{http_to_ws(url)}/logs/out"


def api_url(purpose: str) -> str:
    """Return the API's URL. Raises `ConfigurationError` when none is set, for without a server nothing can be heard of other processes."""
    url = get_current_settings().api.url
    if not url:
        raise ConfigurationError(
            f"{purpose} needs a server, since only a server hears of what every process does. "
            "Start one with `headrace server start` and set HEADRACE_API_URL to its address."
        )
    return url


class Reconnecting:
    """A websocket that is opened with the handshake, and opened again when it breaks: `attempts` times in a row at most."""

    def __init__(self, url: str, attempts: int) -> None:
        if attempts < 0:
            raise ValueError(f"reconnection_attempts is {attempts}; it counts how often to connect again: 0 or more.")
        self.url = url
        self._attempts = attempts
        self._socket: ClientConnection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._socket is not None

    async def open(self, first: dict[str, Any] | None = None) -> ClientConnection:
        """Return the connection; a new one is greeted with the handshake and the message `first`.

        Raises `ServerUnreachable` when it could not be opened, and `HeadraceHTTPStatusError` when the server refuses the credentials.
        """
        from websockets.exceptions import WebSocketException

        from headrace.client.bridge import asleep

        failures = 0
        while self._socket is None:
            try:
                self._socket = await self._connect(first)
            except (OSError, WebSocketException) as error:
                if _is_refusal(error):
                    raise HeadraceHTTPStatusError(
                        f"The server refused the websocket {self.url}: {error}. Set HEADRACE_API_AUTH_STRING to its `user:password`.", 401
                    ) from error
                if failures >= self._attempts:
                    raise ServerUnreachable(f"The websocket {self.url} cannot be opened: {error or type(error).__name__}.") from error
                await asleep(min(RECONNECT_FIRST_SECONDS * 2**failures, RECONNECT_SECONDS_MAX))
                failures += 1
        return self._socket

    async def drop(self) -> None:
        """Let go of a connection, broken or not."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def _connect(self, first: dict[str, Any] | None) -> ClientConnection:
        from websockets.asyncio.client import connect

        settings = get_current_settings()
        api = settings.api
        tls = tls_context(api.ssl_cert_file, is_verified=not api.tls_insecure_skip_verify) if self.url.startswith("wss:") else None
        secret = api.auth_string or api.key
        proxy = proxy_of(urlsplit(self.url.replace("ws", "http", 1)))  # the one of all other requests
        socket = await connect(
            self.url,
            subprotocols=[SUBPROTOCOL],
            additional_headers=settings.client.custom_headers,
            open_timeout=OPEN_SECONDS_MAX,
            max_size=None,
            ssl=tls,
            proxy=proxy.geturl() if proxy is not None else None,
        )
        try:
            await socket.send(json.dumps({"type": "auth", "token": secret.get_secret_value() if secret is not None else None}))
            await socket.recv()
            if first is not None:
                await socket.send(json.dumps(first))
        except BaseException:
            await socket.close()
            raise
        return socket


def _is_refusal(error: Exception) -> bool:
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    if isinstance(error, ConnectionClosed):
        return error.rcvd is not None and error.rcvd.code == POLICY_VIOLATION
    return isinstance(error, InvalidStatus) and error.response.status_code in (401, 403)
