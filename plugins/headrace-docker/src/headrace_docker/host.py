"""The block that says where a Docker engine is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from headrace.blocks.core import Block
from headrace.logging import get_logger, get_run_logger

if TYPE_CHECKING:
    from docker import DockerClient

NO_ENGINE = "No Docker engine answers"
NO_VERSION = "Error while fetching server API version"
"""What the SDK says when a new client gets no answer to its first question."""
LOCAL_SOCKET = "unix:///var/run/docker.sock"


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
    timeout: int | None = Field(
        default=None,
        description="Seconds that the engine may let wait for an answer, or for the next one of many; default: DOCKER_CLIENT_TIMEOUT, else 60.",
    )
    max_pool_size: int | None = Field(default=None, description="Connections that are kept open at most; default: 10.")
    client_kwargs: dict[str, Any] = Field(
        default_factory=dict, title="Additional Configuration", description="More arguments of the SDK's `DockerClient`, or of `from_env`."
    )

    def get_client(self) -> DockerClient:
        """Return a client of the engine, to be used in a `with` block, which closes it.

        Without `base_url` the engine is the one that DOCKER_HOST names, else that of the Docker context in use, else this machine's.
        Raises the SDK's `DockerException` when nothing answers there.
        """
        from docker.context import ContextAPI
        from docker.errors import DockerException
        from docker.utils import kwargs_from_env

        timeout = self.timeout or _seconds(os.environ.get("DOCKER_CLIENT_TIMEOUT"))
        given = {"version": self.version, "timeout": timeout, "max_pool_size": self.max_pool_size}
        options = {**{name: value for name, value in given.items() if value is not None}, **self.client_kwargs}
        environment = options.pop("environment", None) or os.environ
        if self.base_url is not None:
            options["base_url"] = self.base_url
        else:
            found = kwargs_from_env(environment=environment)
            context = {} if "base_url" in found else cast(Any, ContextAPI).kwargs_from_context(environment=environment)  # not in its stubs
            options = {**context, **found, **options}
        try:
            return _managed()(**options)
        except DockerException as error:
            if NO_VERSION not in str(error):
                raise
            raise DockerException(_unanswered(str(options.get("base_url") or LOCAL_SOCKET), str(error))) from error


def _seconds(text: str | None) -> int | None:
    if text is not None and not text.strip().isdecimal():
        raise ValueError(f"DOCKER_CLIENT_TIMEOUT is a number of seconds, not {text!r}.")
    return int(text) if text is not None else None


def _unanswered(address: str, error: str) -> str:
    if "PermissionError" in error:
        remedy = "This user may not speak to it: add the user to the group `docker`, or take an engine that runs as the user."
    else:
        remedy = "Start it, or say where one is: in DOCKER_HOST, or as `base_url` of a DockerHost."
    return f"{NO_ENGINE} at {address}. {remedy} ({error})"


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


@contextmanager
def in_time(what: str) -> Iterator[None]:
    """Turn the SDK's error for an engine that says nothing for too long into a `TimeoutError` that says so, and what to do."""
    import requests
    import urllib3

    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if "timed out" not in str(error):
            raise
        raise TimeoutError(
            f"The Docker engine said nothing for too long while {what}: it, or the registry, hangs. Where that is to be expected, give it more "
            "seconds in DOCKER_CLIENT_TIMEOUT, or as `timeout` of a DockerHost."
        ) from error


@cache
def _managed() -> type[DockerClient]:
    """Return the SDK's client as a context manager. (It is none by itself; the SDK is imported when it is used.)"""
    from docker import APIClient, DockerClient

    class PatientAPIClient(APIClient):
        """The SDK's client, with its time limit for pulls too: a registry that hangs would be waited for without end."""

        def request(self, method: Any, url: Any, *words: Any, **options: Any) -> Any:
            if options.get("timeout") is None and "fromImage" in (options.get("params") or {}):
                options["timeout"] = self.timeout
            return super().request(method, url, *words, **options)

    class ContextManageableDockerClient(DockerClient):
        """The SDK's client, which a `with` block closes."""

        def __init__(self, **options: Any) -> None:
            self.api = PatientAPIClient(**options)

        def __enter__(self) -> ContextManageableDockerClient:
            return self

        def __exit__(self, *error: object) -> None:
            self.close()

    return ContextManageableDockerClient
