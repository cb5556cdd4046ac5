"""Front desk: images with the code of flows in them, under their documented path."""

from headrace.deploy.images import DockerImage

__all__ = ["DockerImage"]
