"""What is said about container groups: their states, and how their images are had."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from headrace.workers.base import BaseWorkerResult


class ContainerGroupProvisioningState(StrEnum):
    """The states in which a container group's making ends."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ContainerRunState(StrEnum):
    """The states of a container that count."""

    RUNNING = "Running"
    TERMINATED = "Terminated"


class ACRManagedIdentity(BaseModel):
    """A managed identity that may pull from a registry in Azure. The worker gives it to the container group as well."""

    registry_url: str = Field(title="Registry URL", description="The registry, as my-registry.azurecr.io.")
    identity: str = Field(description="The user-assigned managed identity: /subscriptions/…/userAssignedIdentities/….")


class DockerRegistry(BaseModel):
    """A user of a registry and a password: the fields of a block of type docker-registry-credentials."""

    model_config = ConfigDict(json_schema_extra={"block_type_slug": "docker-registry-credentials"})

    username: str = Field(description="Name to log in with.")
    password: SecretStr = Field(description="Password to log in with.")
    registry_url: str = Field(title="Registry URL", description="The registry, as registry.example.com.")

    @model_validator(mode="before")
    @classmethod
    def _from_a_block(cls, value: Any) -> Any:
        if isinstance(value, dict | BaseModel) and not isinstance(value, cls):
            names = ("username", "password", "registry_url")
            fields = value if isinstance(value, dict) else vars(value)
            return {name: fields[name] for name in names if name in fields}
        return value


class AzureContainerInstanceJobResult(BaseWorkerResult):
    """A run's container group, and its exit status."""
