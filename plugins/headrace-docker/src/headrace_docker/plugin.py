"""What headrace-docker offers."""

from __future__ import annotations

from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Offer the blocks that say where Docker is and how to log in to a registry."""
    return [
        Offer("docker-host", "headrace_docker.host:DockerHost", "Where a Docker engine is and how to talk to it", modules=("docker",)),
        Offer(
            "docker-registry-credentials",
            "headrace_docker.credentials:DockerRegistryCredentials",
            "User and password for a registry of images",
            modules=("docker",),
        ),
    ]


@hookimpl
def headrace_workers() -> list[Offer]:
    """Offer the worker that runs flows in containers."""
    return [Offer("docker", "headrace_docker.worker:DockerWorker", "Each run in a Docker container of its own", modules=("docker",))]


@hookimpl
def headrace_deployment_steps() -> list[Offer]:
    """Offer the steps of project files, and what builds and pushes images for `DockerImage`."""
    place = "headrace_docker.deployments.steps"
    return [
        Offer(f"{place}.build_docker_image", f"{place}:build_docker_image", "Build an image with a flow's code in it", modules=("docker",)),
        Offer(f"{place}.push_docker_image", f"{place}:push_docker_image", "Push an image to a registry", modules=("docker",)),
        Offer("docker-images", "headrace_docker.building:DockerImages", "What builds and pushes the images of `flow.deploy`", modules=("docker",)),
    ]
