"""Front desk: runners of served deployments."""

from headrace.deploy.runner import Runner

__all__ = ["Runner"]
