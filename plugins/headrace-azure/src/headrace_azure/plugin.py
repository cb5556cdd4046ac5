"""What headrace-azure offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.plugin import Offer, hookimpl

HEADRACE_PLUGIN_API_REQUIRES = ">=0.1,<1"

_CREDENTIALS = "headrace_azure.credentials"
_STEPS = "headrace_azure.deployments.steps"
_BLOB = ("azure.storage.blob",)


@hookimpl
def headrace_blocks() -> list[Offer]:
    """Offer credentials and the blocks that use them."""
    return [
        Offer(
            "azure-blob-storage-credentials",
            f"{_CREDENTIALS}:AzureBlobStorageCredentials",
            "How to log in to a storage account, and clients for its blobs",
            modules=_BLOB,
            extra="blob-storage",
        ),
        Offer(
            "azure-blob-storage-container",
            "headrace_azure.blob_storage:AzureBlobStorageContainer",
            "Blobs in a container of a storage account, or in a folder of one",
            modules=_BLOB,
            extra="blob-storage",
        ),
        Offer(
            "azure-cosmos-db-credentials",
            f"{_CREDENTIALS}:AzureCosmosDbCredentials",
            "How to log in to Cosmos DB, and clients for it",
            modules=("azure.cosmos",),
            extra="cosmos-db",
        ),
        Offer(
            "azureml-credentials",
            f"{_CREDENTIALS}:AzureMlCredentials",
            "How to log in to a workspace of Azure Machine Learning",
            modules=("azure.identity",),
            aliases=("azure-ml-credentials",),
        ),
        Offer(
            "azure-container-instance-credentials",
            f"{_CREDENTIALS}:AzureContainerInstanceCredentials",
            "How to log in to Azure Resource Manager, and clients for container instances",
            modules=("azure.identity", "azure.mgmt.containerinstance"),
        ),
        Offer("azuredevops-credentials", f"{_CREDENTIALS}:AzureDevopsCredentials", "A personal access token for Azure DevOps"),
        Offer(
            "azure-devops-repository",
            "headrace_azure.repository:AzureDevopsRepository",
            "Code in a Git repository of Azure DevOps",
        ),
    ]


@hookimpl
def headrace_deployment_steps() -> list[Offer]:
    """Offer the steps that keep a project's code in a container."""
    return [
        Offer(
            f"{_STEPS}.push_to_azure_blob_storage",
            f"{_STEPS}:push_to_azure_blob_storage",
            "Upload the project to a container of Blob Storage",
            modules=_BLOB,
            extra="blob-storage",
        ),
        Offer(
            f"{_STEPS}.pull_from_azure_blob_storage",
            f"{_STEPS}:pull_from_azure_blob_storage",
            "Download the project from a container of Blob Storage",
            modules=_BLOB,
            extra="blob-storage",
        ),
    ]


@hookimpl
def headrace_workers() -> list[Offer]:
    """Offer the worker for container instances."""
    return [
        Offer(
            "azure-container-instance",
            "headrace_azure.workers.container_instance:AzureContainerWorker",
            "Runs each flow run in a container group of Azure Container Instances",
            modules=("azure.identity", "azure.mgmt.containerinstance", "azure.mgmt.resource"),
        )
    ]


@hookimpl
def headrace_database_connection(connection_url: str, settings: Any) -> Mapping[str, Any] | None:
    """Log in to Azure Database for PostgreSQL with a managed identity, where that is set."""
    from headrace_azure.postgres import set_database_connection_params

    return set_database_connection_params(connection_url, settings)
