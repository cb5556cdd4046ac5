"""Steps of project files that keep code in Blob Storage, and fetch it from there.

push:
  - headrace_azure.deployments.steps.push_to_azure_blob_storage:
      requires: headrace-azure[blob_storage]
      container: my-container
      folder: my-folder
      credentials: "{{ headrace.blocks.azure-blob-storage-credentials.dev-credentials }}"
pull:
  - headrace_azure.deployments.steps.pull_from_azure_blob_storage:
      requires: headrace-azure[blob_storage]
      container: my-container
      folder: my-folder
      credentials: "{{ headrace.blocks.azure-blob-storage-credentials.dev-credentials }}"
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from headrace_azure.blob_storage import AzureBlobStorageContainer
from headrace_azure.credentials import AzureBlobStorageCredentials

IGNORE_FILES = (".headraceignore", ".prefectignore")


class PushToAzureBlobStorageOutput(TypedDict):
    """What `push_to_azure_blob_storage` gives to the steps after it."""

    container: str
    folder: str


class PullFromAzureBlobStorageOutput(TypedDict):
    """What `pull_from_azure_blob_storage` gives to the steps after it; flows run in `directory`."""

    container: str
    folder: str
    directory: str


def push_to_azure_blob_storage(
    container: str,
    folder: str,
    credentials: Mapping[str, Any] | AzureBlobStorageCredentials,
    ignore_file: str | None = ".headraceignore",
) -> PushToAzureBlobStorageOutput:
    """Upload the working directory to a folder of a container, except what the patterns in `ignore_file` match; without such a file, all of it.

    `credentials`: a block, or its fields: `connection_string`, or `account_url` with or without `tenant_id`, `client_id` and `client_secret`; a
    connection string goes before an address. A `.prefectignore` counts where there is no `.headraceignore`.

    Raises `ObjectStoreError` when the container cannot be used, `TransferError` naming each file that could not be uploaded.
    """
    names = IGNORE_FILES if ignore_file in IGNORE_FILES else (ignore_file,)
    ignored = next((name for name in names if name is not None and Path(name).is_file()), None)
    target = AzureBlobStorageContainer(container_name=container, base_folder=folder, credentials=_login(credentials))
    try:
        target.put_directory(ignore_file=ignored)
    finally:
        target.close()
    return PushToAzureBlobStorageOutput(container=container, folder=folder)


def pull_from_azure_blob_storage(
    container: str, folder: str, credentials: Mapping[str, Any] | AzureBlobStorageCredentials
) -> PullFromAzureBlobStorageOutput:
    """Download a folder of a container into the working directory. `credentials` as for `push_to_azure_blob_storage`.

    Raises `ObjectNotFound` when nothing is there, `ObjectStoreError` when the container cannot be used, `TransferError` naming each blob that failed.
    """
    here = Path.cwd()
    source = AzureBlobStorageContainer(container_name=container, credentials=_login(credentials))
    try:
        source.get_directory(f"/{folder}", str(here))
    finally:
        source.close()
    return PullFromAzureBlobStorageOutput(container=container, folder=folder, directory=str(here))


def _login(credentials: Mapping[str, Any] | AzureBlobStorageCredentials) -> AzureBlobStorageCredentials:
    if isinstance(credentials, AzureBlobStorageCredentials):
        return credentials
    return AzureBlobStorageCredentials(**{name: value for name, value in credentials.items() if value is not None})
