"""`DockerImage`: an image with a flow's code in it. What builds and pushes it is a plugin: `headrace-docker` for Docker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO, cast

from headrace.deploy.deployments import IMAGE_FOLDER
from headrace.model import clock
from headrace.model.errors import HeadraceException, PluginNotInstalled
from headrace.plugin.offers import Kind
from headrace.plugin.registry import get_registry
from headrace.settings import get_current_settings

AUTO = "auto"


class BuildError(HeadraceException):
    """An image could not be built."""


class PushError(HeadraceException):
    """An image could not be pushed to its registry."""


class ImageEngine(Protocol):
    """What a plugin offers as the step `docker-images`. It tells `progress` what happens meanwhile, and raises when that fails."""

    def build(self, reference: str, dockerfile: Path, context: Path, backend: str, progress: TextIO | None, **options: Any) -> None:
        """Build the image `reference` from a Dockerfile and the folder around it."""
        ...

    def push(self, reference: str, progress: TextIO | None) -> None:
        """Push the image to the registry that its name begins with."""
        ...


class DockerImage:
    """An image to be built for a deployment.

    `name`: with the registry and repository, and a tag unless `tag` says it; without either, the tag is the time of building. A name without a
    repository is put into `HEADRACE_DEPLOYMENTS_DEFAULT_DOCKER_BUILD_NAMESPACE`. `dockerfile`: the path of one, or "auto" for one that installs
    `requirements.txt` and copies the working directory. `stream_progress_to`: where progress is written, None for nowhere. Other arguments go to
    the backend. Raises `ValueError` for two tags and for an unknown backend.
    """

    def __init__(
        self,
        name: str,
        tag: str | None = None,
        dockerfile: str = AUTO,
        stream_progress_to: TextIO | None = sys.stdout,
        build_backend: Literal["docker-py", "buildx"] = "docker-py",
        **build_kwargs: Any,
    ) -> None:
        repository, given = _split(name)
        if given and tag:
            raise ValueError(f"Only one tag can be provided: the name has {given!r}, and tag is {tag!r}.")
        if build_backend not in ("docker-py", "buildx"):
            raise ValueError(f"build_backend is 'docker-py' or 'buildx', not {build_backend!r}.")
        namespace = get_current_settings().deployments.default_docker_build_namespace
        self.name = f"{namespace.rstrip('/')}/{repository}" if namespace and "/" not in repository else repository
        self.tag = tag or given or f"{clock.now():%Y-%m-%dt%H-%M-%S-%fz}"
        self.dockerfile = dockerfile
        self.stream_progress_to = stream_progress_to
        self.build_backend = build_backend
        self.build_kwargs = build_kwargs

    @property
    def reference(self) -> str:
        """Name and tag."""
        return f"{self.name}:{self.tag}"

    def build(self) -> None:
        """Build the image.

        Raises `PluginNotInstalled` when nothing can, `BuildError`, and `FileExistsError` when "auto" would replace a Dockerfile.
        """
        engine = _engine()
        written = _write_dockerfile() if self.dockerfile == AUTO else None
        try:
            options = {"pull": True, **self.build_kwargs} if self.build_backend == "docker-py" else self.build_kwargs
            engine.build(self.reference, written or Path(self.dockerfile), Path.cwd(), self.build_backend, self.stream_progress_to, **options)
        except HeadraceException:
            raise
        except Exception as error:  # the plugin's SDK may raise anything
            raise BuildError(f"The image {self.reference} could not be built: {type(error).__name__}: {error}") from error
        finally:
            if written is not None:
                written.unlink(missing_ok=True)

    def push(self) -> None:
        """Push the image to its registry. Raises `PluginNotInstalled`, `PushError`."""
        engine = _engine()
        try:
            engine.push(self.reference, self.stream_progress_to)
        except HeadraceException:
            raise
        except Exception as error:  # the plugin's SDK may raise anything
            raise PushError(f"The image {self.reference} could not be pushed: {type(error).__name__}: {error}") from error


def check_engine() -> None:
    """Raise `PluginNotInstalled` when nothing here can build images."""
    _engine()


def _engine() -> ImageEngine:
    try:
        offered = get_registry().resolve(Kind.STEP, "docker-images")
    except PluginNotInstalled:
        raise PluginNotInstalled(
            "Nothing here can build or push images. Install what does (pip install headrace-docker), or give build=False and push=False to use an "
            "image that exists."
        ) from None
    return cast("ImageEngine", offered() if isinstance(offered, type) else offered)


def _split(name: str) -> tuple[str, str | None]:
    """Return the name of an image and its tag. A port of the registry is no tag."""
    head, colon, tail = name.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (name, None)


def generate_default_dockerfile() -> str:
    """Return a Dockerfile that installs the working directory's `requirements.txt`, if it has one, and copies the directory."""
    import headrace

    folder = f"{IMAGE_FOLDER}/{Path.cwd().name}/"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"FROM python:{version}-slim", f"RUN python -m pip install headrace=={headrace.__version__}"]
    if Path("requirements.txt").is_file():
        lines += [f"COPY requirements.txt {folder}requirements.txt", f"RUN python -m pip install -r {folder}requirements.txt"]
    return "\n".join([*lines, f"COPY . {folder}", f"WORKDIR {folder}", ""])


def _write_dockerfile() -> Path:
    path = Path.cwd() / "Dockerfile"
    if path.exists():
        raise FileExistsError(f"There is a Dockerfile in {str(Path.cwd())!r}, which 'auto' would replace. Name it: dockerfile='Dockerfile'.")
    path.write_text(generate_default_dockerfile(), encoding="utf-8")
    return path
