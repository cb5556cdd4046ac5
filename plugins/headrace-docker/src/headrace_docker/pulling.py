"""Having an image where it is needed: what each pull policy does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from headrace_docker.host import in_time
from headrace_docker.progress import Transfer

if TYPE_CHECKING:
    from docker import DockerClient

    from headrace_docker.credentials import DockerRegistryCredentials

AnyLogger: TypeAlias = logging.Logger | logging.LoggerAdapter[Any]
PullPolicy: TypeAlias = Literal["IfNotPresent", "Always", "IfPossible", "Never"]

PROGRESS_SECONDS = 10.0
"""How often it is logged how much of an image has come."""


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
    logger: AnyLogger,
) -> None:
    """Pull an image, if its policy says so. With Never nothing is asked, and a missing image fails when its container is made.

    Raises `RuntimeError` when the image cannot be had, with the registry's reason and whether there is a local one.
    """
    policy = policy or policy_for(image)
    if policy == "Never" or (policy == "IfNotPresent" and _is_there(client, image)):
        return
    failure = _pulled(client, image, credentials, logger)
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


def _pulled(client: DockerClient, image: str, credentials: DockerRegistryCredentials | None, logger: AnyLogger) -> Exception | None:
    """Pull an image; return what went wrong, as far as the engine answered."""
    from docker.errors import APIError
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    try:
        pull_image(client, repository, tag, logger, auth_config=credentials.auth_config() if credentials is not None else None)
    except (APIError, TimeoutError) as error:
        return error
    return None


def pull_image(client: DockerClient, repository: str, tag: str | None, logger: AnyLogger, **options: Any) -> None:
    """Pull an image (default: its tag `latest`), and log how far that is. `options` go to the SDK's `APIClient.pull`.

    Raises the SDK's `APIError`, also for what goes wrong after the engine has begun, and `TimeoutError` when it says nothing.
    """
    from docker.errors import APIError

    name = f"{repository}{'@' if (tag or '').startswith('sha256:') else ':'}{tag}" if tag and not options.get("all_tags") else repository
    logger.info("Pulling %s.", name)
    transfer = Transfer(lambda line: logger.info("%s: %s.", name, line), "received", PROGRESS_SECONDS, is_detailed=False)
    with in_time(f"it pulled {name}"):
        for piece in client.api.pull(repository, tag=tag or "latest", stream=True, decode=True, **options):
            if "error" in piece:
                raise APIError(f"{name} was not pulled: {piece['error']}", explanation=piece["error"])
            transfer.take(piece)
