"""The older place of `docker`."""

from headrace_docker.decorators import docker

__all__ = ["docker"]
