"""Having an image where it is needed: what each pull policy does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from docker import DockerClient

    from headrace_docker.credentials import DockerRegistryCredentials

PullPolicy: TypeAlias = Literal["IfNotPresent", "Always", "IfPossible", "Never"]


def policy_for(image: str) -> PullPolicy:
    """Return the policy of an image for which none is given: Always for the tag `latest` or none, else IfNotPresent."""
    name = image.rpartition("/")[2]
    if "@" in name:  # a digest never means another image
        return "IfNotPresent"
    return "Always" if name.partition(":")[2] in ("", "latest") else "IfNotPresent"


def provide_image(
    client: DockerClient,
    image: str,
    policy: PullPolicy | None,
    credentials: DockerRegistryCredentials | None,
    logger: logging.Logger | logging.LoggerAdapter[Any],
) -> None:
    """Pull an image, if its policy says so. With Never nothing is asked, and a missing image fails when its container is made.

    Raises `RuntimeError` when the image cannot be had, with the registry's reason and whether there is a local one.
    """
    policy = policy or policy_for(image)
    if policy == "Never" or (policy == "IfNotPresent" and _is_there(client, image)):
        return
    failure = _pulled(client, image, credentials)
    if failure is None:
        return
    if policy == "IfPossible" and _is_there(client, image):
        logger.warning("The image %s could not be pulled, and the local one is used: %s", image, failure)
        return
    local = " There is no local image of this name either." if policy == "IfPossible" else ""
    raise RuntimeError(
        f"The image {image} could not be pulled (policy {policy}): {str(failure).rstrip('.')}.{local} Is the name right, and does the registry let "
        "the worker in (`registry_credentials`)? An image that is only here needs the policy IfNotPresent or Never."
    ) from failure


def _is_there(client: DockerClient, image: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def _pulled(client: DockerClient, image: str, credentials: DockerRegistryCredentials | None) -> Exception | None:
    """Pull an image; return what went wrong, as far as the engine answered."""
    from docker.errors import APIError
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    try:
        client.images.pull(repository, tag=tag or "latest", auth_config=credentials.auth_config() if credentials is not None else None)
    except APIError as error:
        return error
    return None
