"""Older places of names."""

from headrace_docker.decorators import docker

__all__ = ["docker"]
