"""Tasks on images. Each has a twin for async flows, whose name begins with `a`: it is awaited, and works in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace import task
from headrace_docker.host import DockerHost, client_of, run_logger
from headrace_docker.pulling import pull_image
from headrace_docker.waiting import waiting

if TYPE_CHECKING:
    from docker.models.images import Image

    from headrace_docker.credentials import DockerRegistryCredentials

__all__ = ["apull_docker_image", "pull_docker_image"]


@task(persist_result=False)
def pull_docker_image(
    repository: str,
    tag: str | None = None,
    platform: str | None = None,
    all_tags: bool = False,
    docker_host: DockerHost | None = None,
    docker_registry_credentials: DockerRegistryCredentials | None = None,
    **pull_kwargs: Any,
) -> Image | list[Image]:
    """Pull an image and return it, or with `all_tags` a list of all images of the repository.

    `tag`: default `latest`; not used with `all_tags`. `platform`: as `linux/amd64`. `docker_registry_credentials`: for this pull alone.
    `pull_kwargs` go to the SDK's `APIClient.pull`. Raises the SDK's `NotFound` and `APIError`, and `TimeoutError` when the engine says nothing for
    the host's `timeout`.

    Example:
        ```python
        from headrace import flow
        from headrace_docker.images import pull_docker_image

        @flow
        def main():
            return pull_docker_image(repository="busybox", tag="1").id
        ```
    """
    from docker.utils import parse_repository_tag

    if docker_registry_credentials is not None:
        pull_kwargs = {"auth_config": docker_registry_credentials.auth_config(), **pull_kwargs}
    repository, tag = (repository, tag) if tag else parse_repository_tag(repository)
    with client_of(docker_host) as client:
        pull_image(client, repository, tag, run_logger(), all_tags=all_tags, platform=platform, **pull_kwargs)
        if all_tags:
            return client.images.list(repository)
        return client.images.get(f"{repository}{'@' if (tag or '').startswith('sha256:') else ':'}{tag or 'latest'}")


apull_docker_image = waiting(pull_docker_image)
