"""Docker in headrace flows. Names are imported when they are used, so that `import headrace_docker` costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_docker.credentials import DockerRegistryCredentials
    from headrace_docker.host import DockerHost
    from headrace_docker.worker import DockerWorker

__all__ = ["DockerHost", "DockerRegistryCredentials", "DockerWorker"]

_PLACES = {"DockerHost": "host", "DockerRegistryCredentials": "credentials", "DockerWorker": "worker"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"headrace_docker.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
