"""Building and pushing images, with what happens meanwhile written as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from headrace_docker.buildx import build_with_buildx
from headrace_docker.host import DockerHost, client_of, in_time
from headrace_docker.progress import Transfer

_DENIED = " Log in to the registry (`docker login`), or give the step `credentials`; does the name begin with the registry and a namespace of yours?"


class DockerImages:
    """What `flow.deploy` builds and pushes images with."""

    def build(self, reference: str, dockerfile: Path, context: Path, backend: str, progress: TextIO | None, **options: Any) -> None:
        """Build the image `reference` from a Dockerfile and the folder around it. See `build_image` and `build_with_buildx`."""
        check_backend(backend)
        if backend == "buildx":
            build_with_buildx([reference], context, context / dockerfile, options, progress)
            return
        build_image(reference, {"path": str(context), "dockerfile": str(dockerfile), **options}, progress)

    def push(self, reference: str, progress: TextIO | None) -> None:
        """Push the image to the registry that its name begins with, as whom `docker login` has noted. See `push_image`."""
        push_image(reference, None, progress)


def check_backend(backend: str) -> None:
    """Raise `ValueError` for a name that is no backend."""
    if backend not in ("docker-py", "buildx"):
        raise ValueError(f"build_backend is 'docker-py' or 'buildx', not {backend!r}.")


def build_image(reference: str, options: Mapping[str, Any], progress: TextIO | None, host: DockerHost | None = None) -> str:
    """Build an image and return its id. `options` go to the SDK's `APIClient.build`, as `path`, `dockerfile`, `platform`, `buildargs`, `pull`.

    Raises the SDK's `BuildError` with what failed and the last lines of the build, and `FileNotFoundError` without a Dockerfile.
    """
    from docker.errors import BuildError

    dockerfile = Path(options.get("path", "."), options.get("dockerfile") or "Dockerfile")
    if "fileobj" not in options and not dockerfile.is_file():
        raise FileNotFoundError(f"There is no Dockerfile {str(dockerfile)!r}. Write one, name another, or let `dockerfile: auto` make one.")
    told: list[str] = []
    with client_of(host) as client, in_time(f"it built {reference}"):
        for piece in client.api.build(tag=reference, decode=True, **{"rm": True, "forcerm": True, **options}):
            text = piece.get("stream") or piece.get("status") or ""
            if text.strip():
                told.append(text.rstrip("\n"))
                _write(progress, text if text.endswith("\n") else f"{text}\n")
            if "error" in piece:
                reason = f"{piece['error'].strip()} The build said last:\n" + "\n".join(told[-20:])
                raise BuildError(reason, iter([{"stream": line} for line in told]))
        return client.images.get(reference).id or ""


def image_id(reference: str, host: DockerHost | None = None) -> str:
    """Return the id of an image, or nothing when the engine has none of this name: it may have been built for elsewhere."""
    from docker.errors import ImageNotFound

    with client_of(host) as client:
        try:
            return client.images.get(reference).id or ""
        except ImageNotFound:
            return ""


def tag_image(reference: str, tags: Iterable[str], host: DockerHost | None = None) -> None:
    """Give an image more tags. Raises the SDK's `ImageNotFound`."""
    repository = reference.rpartition(":")[0]
    with client_of(host) as client:
        image = client.images.get(reference)
        for tag in tags:
            image.tag(repository, tag=tag)


def push_image(reference: str, auth_config: dict[str, str] | None, progress: TextIO | None, host: DockerHost | None = None) -> None:
    """Push an image to the registry that its name begins with. `auth_config`: user and password for this push alone.

    Raises `OSError` with what the registry says, and what to do when it denies; `TimeoutError` when it says nothing.
    """
    repository, _, tag = reference.rpartition(":")
    transfer = Transfer(lambda line: _write(progress, f"{line}\n"), "Sent")
    with client_of(host) as client, in_time(f"it pushed {reference}"):
        for piece in client.api.push(repository, tag=tag, auth_config=auth_config, stream=True, decode=True):
            if "error" in piece:
                hint = _DENIED if any(word in piece["error"].lower() for word in ("denied", "no basic auth", "unauthorized")) else ""
                raise OSError(f"The image {reference} was not pushed: {piece['error'].strip().rstrip('.')}.{hint}")
            transfer.take(piece)


def _write(progress: TextIO | None, text: str) -> None:
    if progress is not None:
        progress.write(text)
        progress.flush()
