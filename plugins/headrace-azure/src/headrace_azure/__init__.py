"""Azure in headrace flows. Names are imported when they are used, so that `import headrace_azure` costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace_azure.blob_storage import AzureBlobStorageContainer
    from headrace_azure.credentials import (
        AzureBlobStorageCredentials,
        AzureContainerInstanceCredentials,
        AzureCosmosDbCredentials,
        AzureDevopsCredentials,
        AzureMlCredentials,
    )
    from headrace_azure.decorators import azure_container_instance
    from headrace_azure.repository import AzureDevopsRepository
    from headrace_azure.workers.container_instance import AzureContainerWorker

__all__ = [
    "AzureBlobStorageContainer",
    "AzureBlobStorageCredentials",
    "AzureContainerInstanceCredentials",
    "AzureContainerWorker",
    "AzureCosmosDbCredentials",
    "AzureDevopsCredentials",
    "AzureDevopsRepository",
    "AzureMlCredentials",
    "azure_container_instance",
]

_HOMES = {
    "AzureBlobStorageContainer": "blob_storage",
    "AzureContainerWorker": "workers.container_instance",
    "AzureDevopsRepository": "repository",
    "azure_container_instance": "decorators",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'credentials')}"), name)
