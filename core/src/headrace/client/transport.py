"""HTTP/1.1 over sockets: one request out, one answer back, connections kept open. Knows nothing of the API.

Written here because importing an HTTP library costs more than a whole small flow run; see the decision page `an-http-transport-of-our-own`.
"""

from __future__ import annotations

import os
import select
import socket
from base64 import b64encode
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit
from weakref import WeakSet

from headrace.model.errors import ConfigurationError

if TYPE_CHECKING:
    from ssl import SSLContext

IDLE_CONNECTIONS_MAX = 8
HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 512_000_000
RECEIVE_BYTES = 65_536
PORTS = {"http": 80, "https": 443}


class Disconnected(OSError):
    """The connection ended before a whole answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, its headers (names in lower case) and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Transport:
    """Sends requests to one server. Safe to use from any thread and after a fork."""

    def __init__(self, url: str, *, timeout_seconds: float, ca_file: str | None = None, is_verified: bool = True) -> None:
        """Prepare for `url` (`http://` or `https://`); nothing is connected yet. Raises `ConfigurationError` for a URL that is not one."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ConfigurationError(f"HEADRACE_API_URL is {url!r}, which is no address of an API. It looks like http://127.0.0.1:4200/api.")
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port or PORTS[parts.scheme]
        self.timeout_seconds = timeout_seconds
        self._ca_file, self._is_verified = ca_file, is_verified
        self._tls: SSLContext | None = None
        self._proxy = proxy_of(parts)
        self._prefix = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if self._proxy is not None and not self._is_tls else ""
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self._authority = shown if self._port == PORTS[parts.scheme] else f"{shown}:{self._port}"
        self._idle: deque[_Connection] = deque(maxlen=IDLE_CONNECTIONS_MAX)
        _transports.add(self)

    def send(self, method: str, target: str, head: str, body: bytes | None) -> Answer:
        """Send a request and return the answer. `target` is path and query, `head` further header lines, each ended by CR LF.

        A connection that the server closed while it was idle is replaced silently. Raises `OSError` (also `TimeoutError`, `ssl.SSLError`)
        when no answer comes.
        """
        lines = f"{method} {self._prefix}{target} HTTP/1.1\r\nHost: {self._authority}\r\n{self._proxy_line()}{head}"
        if body is not None:
            lines += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        request = (lines + "\r\n").encode("latin-1") + (body or b"")
        connection = self._take()
        try:
            answer = connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        if connection.is_open:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def forget(self) -> None:
        """Leave the connections to the parent process, whose they are."""
        self._idle = deque(maxlen=IDLE_CONNECTIONS_MAX)

    def _take(self) -> _Connection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return _Connection(self._connect())
            if connection.is_usable():
                return connection
            connection.close()

    def _connect(self) -> socket.socket:
        proxy = self._proxy
        host, port = (proxy.hostname or "", proxy.port or PORTS["http"]) if proxy is not None else (self._host, self._port)
        # As bytes, a name is looked up as it is; as text, Python loads its tables of international names first.
        name: Any = host.encode("ascii" if host.isascii() else "idna")
        made = socket.create_connection((name, port), self.timeout_seconds)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self._is_tls:
                return made
            if proxy is not None:
                self._tunnel(made)
            return self._tls_context().wrap_socket(made, server_hostname=self._host)
        except BaseException:
            made.close()
            raise

    def _tunnel(self, made: socket.socket) -> None:
        place = f"{self._host}:{self._port}"
        request = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{_authorization(self._proxy)}\r\n"
        made.sendall(request.encode("latin-1"))
        answer = _Connection(made).receive(has_body=False)
        if answer.status != 200:
            raise Disconnected(f"the proxy refused to connect to {place} with status {answer.status}")

    def _proxy_line(self) -> str:
        return _authorization(self._proxy) if self._prefix else ""

    def _tls_context(self) -> SSLContext:
        if self._tls is None:
            self._tls = tls_context(self._ca_file, is_verified=self._is_verified)
        return self._tls


def tls_context(ca_file: str | None, *, is_verified: bool) -> SSLContext:
    """Return how TLS is spoken to a server. Raises `ConfigurationError` for a file of certificates that cannot be read."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(f"HEADRACE_API_SSL_CERT_FILE is {ca_file!r}, which cannot be read: {error}.") from error
    if not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _Connection:
    """One open connection, used for one request at a time."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._buffer = bytearray()
        self.is_open = True

    def is_usable(self) -> bool:
        """Say whether the server still holds the idle connection open: one that can be read from was closed, or is out of step."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._socket.close()

    def exchange(self, request: bytes) -> Answer:
        self._socket.sendall(request)
        return self.receive(has_body=True)

    def receive(self, *, has_body: bool) -> Answer:
        status, headers = self._head()
        while 100 <= status < 200:
            status, headers = self._head()
        if headers.get("connection", "").lower() == "close":
            self.is_open = False
        if not has_body or status in (204, 304):
            body = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            body = self._rest()
        return Answer(status, headers, body)

    def _head(self) -> tuple[int, dict[str, str]]:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEAD_BYTES_MAX:
                raise Disconnected("the head of the answer is too long to be one of the API")
            self._fill()
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise Disconnected(f"what answered does not speak HTTP/1.1: {first[:80]!r}")
        if version == "HTTP/1.0":
            self.is_open = False
        pairs = (line.partition(":") for line in lines)
        return int(rest[:3]), {name.lower(): value.strip() for name, _, value in pairs}

    def _exactly(self, count: int) -> bytes:
        if count > BODY_BYTES_MAX:
            raise Disconnected(f"the answer has {count} bytes, more than {BODY_BYTES_MAX}")
        while len(self._buffer) < count:
            self._fill()
        body = bytes(self._buffer[:count])
        del self._buffer[:count]
        return body

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while count := int(self._line().partition(b";")[0], 16):
            size += count
            if size > BODY_BYTES_MAX:
                raise Disconnected(f"the answer has more than {BODY_BYTES_MAX} bytes")
            parts.append(self._exactly(count))
            self._line()
        while self._line():
            pass
        return b"".join(parts)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _rest(self) -> bytes:
        self.is_open = False
        while len(self._buffer) <= BODY_BYTES_MAX:
            received = self._socket.recv(RECEIVE_BYTES)
            if not received:
                break
            self._buffer += received
        return bytes(self._buffer)

    def _fill(self) -> None:
        received = self._socket.recv(RECEIVE_BYTES)
        if not received:
            raise Disconnected("the server closed the connection before its answer was whole")
        self._buffer += received


def proxy_of(url: SplitResult) -> SplitResult | None:
    """Return the proxy that the environment names for `url`, or None. These variables are everybody's, not settings of ours.

    Raises `ConfigurationError` for a proxy that is not reached by `http://`.
    """
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    chosen = proxies.get(url.scheme) or proxies.get("all")
    if not chosen or proxy_bypass(url.hostname or ""):
        return None
    parts = urlsplit(chosen if "://" in chosen else f"http://{chosen}")
    if parts.scheme != "http":
        raise ConfigurationError(f"The proxy {parts.hostname!r} is reached by {parts.scheme!r}, which is not supported; name one by http://.")
    return parts


def _authorization(proxy: SplitResult | None) -> str:
    if proxy is None or proxy.username is None:
        return ""
    secret = b64encode(f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()).decode()
    return f"Proxy-Authorization: Basic {secret}\r\n"


_transports: WeakSet[Transport] = WeakSet()


def _after_fork() -> None:
    for transport in list(_transports):
        transport.forget()


os.register_at_fork(after_in_child=_after_fork)
