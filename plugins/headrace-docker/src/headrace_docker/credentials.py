"""The block that holds the password of a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from headrace.blocks.core import Block
from headrace.utilities.asyncutils import twins

if TYPE_CHECKING:
    from docker import DockerClient


class DockerRegistryCredentials(Block):
    """User and password for a registry of images.

    Example:
        ```python
        from headrace_docker import DockerHost, DockerRegistryCredentials

        with DockerHost().get_client() as client:
            DockerRegistryCredentials.load("registry").login(client)
        ```
    """

    _block_type_name = "Docker Registry Credentials"
    _block_type_slug = "docker-registry-credentials"

    username: str = Field(description="Name to log in with.")
    password: SecretStr = Field(description="Password to log in with.")
    registry_url: str = Field(
        title="Registry URL", description="Address of the registry, as registry.example.com, or https://index.docker.io/v1/ for Docker Hub."
    )
    reauth: bool = Field(default=True, description="Whether to log in again when the client has done so already.")

    def _login(self, client: DockerClient) -> None:
        """Log a client in to the registry: what it pulls and pushes there afterwards is done by this user.

        Raises the SDK's `APIError` when the registry refuses.
        """
        client.login(username=self.username, password=self.password.get_secret_value(), registry=self.registry_url, reauth=self.reauth)

    login, alogin = twins(_login)

    def auth_config(self) -> dict[str, str]:
        """Return what a single pull or push is given, so that the client stays logged out."""
        return {"username": self.username, "password": self.password.get_secret_value(), "serveraddress": self.registry_url}
