"""Tasks on containers. Each has a twin for async flows, whose name begins with `a`: it is awaited, and works in a thread.

What they return speaks to the engine; it is never kept as a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace import task
from headrace_docker.host import DockerHost, client_of, run_logger
from headrace_docker.waiting import waiting

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = [
    "acreate_docker_container",
    "aget_docker_container_logs",
    "aremove_docker_container",
    "astart_docker_container",
    "astop_docker_container",
    "create_docker_container",
    "get_docker_container_logs",
    "remove_docker_container",
    "start_docker_container",
    "stop_docker_container",
]


@task(persist_result=False)
def create_docker_container(
    image: str,
    command: str | list[str] | None = None,
    name: str | None = None,
    detach: bool | None = None,
    entrypoint: str | list[str] | None = None,
    environment: dict[str, str] | list[str] | None = None,
    docker_host: DockerHost | None = None,
    **create_kwargs: Any,
) -> Container:
    """Create a container without starting it, and return it.

    `command` and `entrypoint` replace those of the image, `environment` is a dictionary or a list of `"NAME=value"`. `create_kwargs` go to the
    SDK's `containers.create`, as `network_mode="host"`. `docker_host`: default is what the environment names. Raises the SDK's `ImageNotFound`.

    Example:
        ```python
        from headrace import flow
        from headrace_docker.containers import create_docker_container

        @flow
        def main():
            return create_docker_container(image="busybox", command="echo hello").id
        ```
    """
    given = {"name": name, "detach": detach, "entrypoint": entrypoint, "environment": environment}
    with client_of(docker_host) as client:
        run_logger().info("Creating a container of %s.", image)
        options = {key: value for key, value in given.items() if value is not None}
        return client.containers.create(image, command, **options, **create_kwargs)


@task
def get_docker_container_logs(container_id: str, docker_host: DockerHost | None = None, **logs_kwargs: Any) -> str:
    """Return what a container has written, both streams. `container_id` may be its name or the beginning of its id.

    `logs_kwargs` go to the SDK's `Container.logs`, as `tail=10`; with `stream=True` what comes is collected until it ends. Raises the SDK's
    `NotFound`.
    """
    with client_of(docker_host) as client:
        logs = client.containers.get(container_id).logs(**logs_kwargs)
        return (logs if isinstance(logs, bytes) else b"".join(logs)).decode(errors="replace")


@task(persist_result=False)
def start_docker_container(container_id: str, docker_host: DockerHost | None = None, **start_kwargs: Any) -> Container:
    """Start a container that was created, and return it. `start_kwargs` go to the SDK's `Container.start`. Raises the SDK's `NotFound`."""
    with client_of(docker_host) as client:
        container = client.containers.get(container_id)
        run_logger().info("Starting the container %s.", container.name)
        container.start(**start_kwargs)
        return container


@task(persist_result=False)
def stop_docker_container(container_id: str, docker_host: DockerHost | None = None, **stop_kwargs: Any) -> Container:
    """Stop a container: ask it to end, and force it after `timeout` seconds (10), and return it. Raises the SDK's `NotFound`."""
    with client_of(docker_host) as client:
        container = client.containers.get(container_id)
        run_logger().info("Stopping the container %s.", container.name)
        container.stop(**stop_kwargs)
        return container


@task(persist_result=False)
def remove_docker_container(container_id: str, docker_host: DockerHost | None = None, **remove_kwargs: Any) -> Container:
    """Remove a container and return what it was.

    `remove_kwargs` go to the SDK's `Container.remove`: `force=True` removes one that still runs, `v=True` its unnamed volumes too. Raises the
    SDK's `NotFound`, and `APIError` for one that runs.
    """
    with client_of(docker_host) as client:
        container = client.containers.get(container_id)
        run_logger().info("Removing the container %s.", container.name)
        container.remove(**remove_kwargs)
        return container


acreate_docker_container = waiting(create_docker_container)
aget_docker_container_logs = waiting(get_docker_container_logs)
astart_docker_container = waiting(start_docker_container)
astop_docker_container = waiting(stop_docker_container)
aremove_docker_container = waiting(remove_docker_container)
