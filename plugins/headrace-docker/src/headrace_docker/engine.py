"""A worker's connection with its Docker engine: one client for all threads, the engine's address, what its errors mean."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from headrace.workers.remote import Failure
from headrace_docker.host import NO_ENGINE, DockerHost

if TYPE_CHECKING:
    from docker import DockerClient

CONNECTIONS_MAX = 128
PLACELESS_SCHEME = "http+docker"
"""What an address begins with that the SDK gives to engines of any machine alike: those reached by a socket file, a pipe or SSH."""
LOCAL_ADDRESS = f"{PLACELESS_SCHEME}://localhost"


class Engine:
    """A Docker engine, connected with when it is first asked."""

    def __init__(self, host: DockerHost | None = None) -> None:
        self._host = host or DockerHost(max_pool_size=CONNECTIONS_MAX)
        self._lock = threading.Lock()
        self._client: DockerClient | None = None
        self._address = ""

    @property
    def client(self) -> DockerClient:
        """The client. Raises the SDK's `DockerException` when nothing answers where the environment says."""
        with self._lock:
            if self._client is None:
                made = self._host.get_client()
                base = str(made.api.base_url)
                # The machine's name makes of what all have in common an address that leads to one.
                self._address = f"{PLACELESS_SCHEME}://{made.info()['Name']}" if urlsplit(base).scheme == PLACELESS_SCHEME else base.rstrip("/")
                self._client = made
            return self._client

    @property
    def address(self) -> str:
        """The engine's address: that of a TCP connection, else `http+docker://<name of its machine>`."""
        return self._address if self.client else ""

    def is_at(self, address: str) -> bool:
        """Say whether an address leads to this engine."""
        return address == self.address or (address == LOCAL_ADDRESS and self.address.startswith(f"{PLACELESS_SCHEME}://"))

    def failure_of(self, error: Exception) -> Failure:
        """Say what an error of the SDK means."""
        import requests
        import urllib3
        from docker.errors import APIError, DockerException

        if isinstance(error, APIError):
            return Failure.BUSY if error.status_code in (429, 503) else Failure.FINAL
        if isinstance(error, requests.ConnectionError | requests.Timeout | urllib3.exceptions.HTTPError | ConnectionError | TimeoutError):
            refused = any(word in str(error) for word in ("Connection refused", "FileNotFoundError", "No such file", "Name or service not known"))
            return Failure.BUSY if refused or isinstance(error, requests.ConnectTimeout | ConnectionRefusedError) else Failure.UNKNOWN
        if isinstance(error, DockerException):  # the first question of a new client: which version?
            return Failure.BUSY if NO_ENGINE in str(error) else Failure.FINAL
        return Failure.FINAL

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def identifier_of(address: str, container_id: str) -> str:
    """Return what a container is known by: the engine's address and the container's id."""
    return f"{address}:{container_id}"


def parsed_identifier(identifier: str) -> tuple[str, str]:
    """Return the engine's address and the container's id, parted at the last `:`. Raises `ValueError` for a text that is none."""
    address, _, container = identifier.rpartition(":")
    if not address or "://" not in address or not container.isalnum():
        raise ValueError(f"{identifier!r} names no container: it is written <address of the engine>:<id of the container>.")
    return address, container
