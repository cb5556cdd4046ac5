"""Building images with Docker's own `buildx`, through the package python-on-whales: secrets, SSH, caches, several platforms."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO, cast

LINES_KEPT = 20
ANSWER_SECONDS_MAX = 60.0


def check_buildx() -> None:
    """Raise `ImportError` without the package, and `RuntimeError` without the program `docker` or its plugin."""
    if find_spec("python_on_whales") is None:
        raise ImportError("build_backend 'buildx' needs the package python-on-whales: pip install 'headrace-docker[buildx]'.")
    program = shutil.which("docker")
    if program is None:
        raise RuntimeError("build_backend 'buildx' needs the program `docker`, which is not here. Install it, or use the backend 'docker-py'.")
    if subprocess.run([program, "buildx", "version"], capture_output=True, timeout=ANSWER_SECONDS_MAX, check=False).returncode:
        raise RuntimeError(
            "build_backend 'buildx' needs Docker's plugin buildx: `docker buildx` is no command here. Install the package docker-buildx-plugin "
            "(or docker-buildx), or use the backend 'docker-py'."
        )


def build_with_buildx(tags: Sequence[str], context: Path, dockerfile: Path, options: Mapping[str, Any], progress: TextIO | None) -> None:
    """Build an image with all its tags. `options` go to `python_on_whales.docker.buildx.build`, as `secrets`, `ssh`, `cache_from`, `platforms`.

    The image is loaded into the engine unless it goes elsewhere: `push=True`, an `output`, or several `platforms`, which engines do not hold.
    Raises the SDK's `BuildError` with the last lines of a build that failed, `FileNotFoundError` without a Dockerfile; and see `check_buildx`.
    """
    check_buildx()
    from docker.errors import BuildError
    from python_on_whales import docker
    from python_on_whales.exceptions import DockerException

    if not dockerfile.is_file():
        raise FileNotFoundError(f"There is no Dockerfile {str(dockerfile)!r}. Write one, name another, or let `dockerfile: auto` make one.")
    told: list[str] = []
    elsewhere = options.get("push") or options.get("output") or len(options.get("platforms") or ()) > 1
    given = {"load": not elsewhere, **options, "file": dockerfile, "tags": list(tags), "stream_logs": True}
    try:
        for line in cast("Iterator[str]", docker.buildx.build(context, **given)):  # with `stream_logs`
            told.append(line.rstrip("\n"))
            if progress is not None:
                progress.write(f"{told[-1]}\n")
                progress.flush()
    except DockerException as error:
        last = "\n".join(told[-LINES_KEPT:])
        reason = f"`docker buildx build` ended with status {error.return_code}. It said last:\n{last}"
        raise BuildError(reason, iter([{"stream": line} for line in told])) from None
