"""Front desk: images with the code of flows in them."""

from headrace.deploy.images import DockerImage

__all__ = ["DockerImage"]
