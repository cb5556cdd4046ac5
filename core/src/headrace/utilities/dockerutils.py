"""Front desk: what plugins that build images need, under its documented path."""

from headrace.deploy.images import BuildError, PushError, generate_default_dockerfile

__all__ = ["BuildError", "PushError", "generate_default_dockerfile"]
