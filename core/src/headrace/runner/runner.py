"""Front desk: the runner under its documented path."""

from headrace.deploy.runner import Runner

__all__ = ["Runner"]
