"""The block that says where a Docker engine is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import Field

from headrace.blocks.core import Block
from headrace.logging import get_logger, get_run_logger

if TYPE_CHECKING:
    from docker import DockerClient


class DockerHost(Block):
    """Where a Docker engine is and how to talk to it.

    Example:
        ```python
        from headrace_docker import DockerHost

        with DockerHost(base_url="tcp://127.0.0.1:1234", max_pool_size=4).get_client() as client:
            client.containers.list()
        ```
    """

    _block_type_name = "Docker Host"
    _block_type_slug = "docker-host"

    base_url: str | None = Field(
        default=None,
        title="Base URL",
        description="Address of the engine, as unix:///var/run/docker.sock or tcp://127.0.0.1:1234. Default: what DOCKER_HOST and its like say.",
    )
    version: str = Field(default="auto", description="Version of the engine's interface; auto asks the engine.")
    timeout: int | None = Field(default=None, description="Seconds that a call may take; default: 60.")
    max_pool_size: int | None = Field(default=None, description="Connections that are kept open at most; default: 10.")
    client_kwargs: dict[str, Any] = Field(
        default_factory=dict, title="Additional Configuration", description="More arguments of the SDK's `DockerClient`, or of `from_env`."
    )

    def get_client(self) -> DockerClient:
        """Return a client of the engine, to be used in a `with` block, which closes it.

        Raises the SDK's `DockerException` when nothing answers there.
        """
        from docker.utils import kwargs_from_env

        given = {"version": self.version, "timeout": self.timeout, "max_pool_size": self.max_pool_size}
        options = {**{name: value for name, value in given.items() if value is not None}, **self.client_kwargs}
        if self.base_url is not None:
            return _managed()(base_url=self.base_url, **options)
        environment = kwargs_from_env(**{name: options.pop(name) for name in ("environment",) if name in options})
        return _managed()(**{**environment, **options})


@contextmanager
def client_of(host: DockerHost | None) -> Iterator[DockerClient]:
    """Give a client of a host, or of the one that the environment names, and close it."""
    client = (host or DockerHost()).get_client()
    try:
        yield client
    finally:
        client.close()


def run_logger() -> Any:
    """Return the logger of the run, or an ordinary one outside runs."""
    try:
        return get_run_logger()
    except RuntimeError:  # no run is active
        return get_logger("headrace_docker")


@cache
def _managed() -> type[DockerClient]:
    """Return the SDK's client as a context manager. (It is none by itself; the SDK is imported when it is used.)"""
    from docker import DockerClient

    class ContextManageableDockerClient(DockerClient):
        """The SDK's client, which a `with` block closes."""

        def __enter__(self) -> ContextManageableDockerClient:
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

    return ContextManageableDockerClient
