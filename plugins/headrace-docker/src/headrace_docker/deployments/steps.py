"""Steps of project files that build and push images.

build:
  - headrace_docker.deployments.steps.build_docker_image:
      id: build-image
      requires: headrace-docker
      image_name: registry.example.com/team/flows
      tag: dev
      dockerfile: auto
push:
  - headrace_docker.deployments.steps.push_docker_image:
      requires: headrace-docker
      image_name: "{{ build-image.image_name }}"
      tag: "{{ build-image.tag }}"
      credentials: "{{ headrace.blocks.docker-registry-credentials.dev-registry }}"
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypedDict, TypeVar

from headrace.blocks.credentials import revealed
from headrace.docker import DockerImage
from headrace.utilities.dockerutils import generate_default_dockerfile
from headrace_docker.building import build_image, check_backend, image_id, push_image, tag_image
from headrace_docker.buildx import build_with_buildx
from headrace_docker.credentials import DockerRegistryCredentials

P = ParamSpec("P")
T = TypeVar("T")

AUTO = "auto"

_results: dict[str, Any] = {}


class BuildDockerImageResult(TypedDict):
    """What `build_docker_image` answers: name and tag apart and together (`image`), the image's id, the other tags that it has."""

    image_name: str
    tag: str
    image: str
    image_id: str
    additional_tags: list[str] | None


class PushDockerImageResult(TypedDict):
    """What `push_docker_image` answers: name and tag apart and together (`image`), the other tags that were pushed."""

    image_name: str
    tag: str | None
    image: str
    additional_tags: list[str] | None


def cacheable(func: Callable[P, T]) -> Callable[P, T]:
    """Have a step done once a process for the same inputs: deployments that share an image build it once. `ignore_cache=True` does it again."""

    @functools.wraps(func)
    def step(*args: P.args, **kwargs: P.kwargs) -> T:
        inputs = {name: value for name, value in kwargs.items() if name != "ignore_cache"}
        key = json.dumps([func.__name__, str(Path.cwd()), args, inputs], sort_keys=True, default=repr)
        if kwargs.get("ignore_cache") or key not in _results:
            _results[key] = func(*args, **kwargs)
        return _results[key]

    return step


@cacheable
def build_docker_image(
    image_name: str,
    dockerfile: str = "Dockerfile",
    tag: str | None = None,
    additional_tags: list[str] | None = None,
    ignore_cache: bool = False,
    persist_dockerfile: bool = False,
    dockerfile_output_path: str = "Dockerfile.generated",
    build_backend: str = "docker-py",
    **build_kwargs: Any,
) -> BuildDockerImageResult:
    """Build an image from the working directory.

    `image_name`: with registry and repository. `dockerfile`: the path of one, or "auto" for one that is made for the build: it installs headrace
    and `requirements.txt` and copies the directory; with `persist_dockerfile` it is kept as `dockerfile_output_path`. `tag`: default: the time
    (UTC). `ignore_cache`: build, although this process did so before with these inputs. `build_backend`: "docker-py" for the engine's own builder,
    whose `build_kwargs` go to the SDK's `APIClient.build`, as `platform`, `buildargs`, or `pull=False` to use the base image that is there; "buildx"
    for `docker buildx`, whose `build_kwargs` go to `python_on_whales.docker.buildx.build`, as `secrets`, `ssh`, `cache_to`, `platforms`, `push`.

    Raises `ValueError` for a name with spaces or a tag, `FileExistsError` when "auto" would replace a Dockerfile, `FileNotFoundError` without
    one, and the SDK's `BuildError` with the last lines of a build that failed. For buildx see `headrace_docker.buildx.check_buildx`.
    """
    check_backend(build_backend)
    _check_name(image_name)
    tag = tag or DockerImage("any").tag
    image, more = f"{image_name}:{tag}", _tags(additional_tags)
    with _dockerfile(dockerfile, Path(dockerfile_output_path) if persist_dockerfile else None) as path:
        if build_backend == "buildx":
            options = dict(build_kwargs)
            context = Path(options.pop("path", Path.cwd()))
            build_with_buildx([image, *(f"{image_name}:{one}" for one in more)], context, context / path, options, sys.stdout)
            built = image_id(image)
        else:
            built = build_image(image, {"path": str(Path.cwd()), "pull": True, **build_kwargs, "dockerfile": str(path)}, sys.stdout)
            tag_image(image, more)
    return {"image_name": image_name, "tag": tag, "image": image, "image_id": built, "additional_tags": additional_tags}


@contextmanager
def _dockerfile(given: str, kept: Path | None) -> Iterator[Path]:
    """Give the Dockerfile; one that is made for the build is gone afterwards, and after a build that went well it is kept elsewhere if wanted."""
    if given != AUTO:
        yield Path(given)
        return
    path = Path.cwd() / "Dockerfile"
    if path.exists():
        raise FileExistsError(f"There is a Dockerfile in {str(path.parent)!r}, which 'auto' would replace. Name it: `dockerfile: Dockerfile`.")
    text = generate_default_dockerfile()
    try:
        path.write_text(text, encoding="utf-8")
        yield path
    finally:
        path.unlink(missing_ok=True)
    if kept is not None:
        kept.write_text(text, encoding="utf-8")


@cacheable
def push_docker_image(
    image_name: str,
    tag: str | None = None,
    credentials: dict[str, Any] | None = None,
    additional_tags: list[str] | None = None,
    ignore_cache: bool = False,
    build_backend: str = "docker-py",
) -> PushDockerImageResult:
    """Push an image to the registry that its name begins with.

    `tag`: default `latest`; `additional_tags` are pushed besides. `credentials`: `username`, `password` and `registry_url`, or a block with
    them; they are used for this push alone. `ignore_cache`: push, although this process did so before. Raises `OSError` with what the registry says.
    """
    check_backend(build_backend)
    _check_name(image_name)
    auth = _auth(credentials)
    for one in (tag or "latest", *_tags(additional_tags)):
        push_image(f"{image_name}:{one}", auth, sys.stdout)
    image = f"{image_name}:{tag}" if tag else image_name
    return {"image_name": image_name, "tag": tag, "image": image, "additional_tags": additional_tags}


def _check_name(name: str) -> None:
    if any(letter.isspace() for letter in name):
        raise ValueError(f"The name of an image has no spaces: {name!r}.")
    if ":" in name.rpartition("/")[2]:
        raise ValueError(f"The name of the image has a tag already: {name!r}. Give the tag as `tag`.")


def _tags(tags: list[str] | None) -> list[str]:
    return [tag for tag in tags or [] if tag]


def _auth(credentials: dict[str, Any] | DockerRegistryCredentials | None) -> dict[str, str] | None:
    if credentials is None:
        return None
    if isinstance(credentials, DockerRegistryCredentials):
        return credentials.auth_config()
    missing = [name for name in ("username", "password", "registry_url") if not credentials.get(name)]
    if missing:
        raise ValueError(f"The credentials for the registry have no {', '.join(missing)}. Give username, password and registry_url.")
    return {
        "username": str(revealed(credentials["username"])),
        "password": str(revealed(credentials["password"])),
        "serveraddress": str(credentials["registry_url"]),
    }
