"""Blob Storage: `AzureBlobStorageContainer`, and tasks for single blobs of any container."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from pydantic import Field

from headrace.blocks.object_stores import ObjectStoreBlock
from headrace.utilities.asyncutils import blocking, twins
from headrace_azure.blob_driver import BlobDriver
from headrace_azure.credentials import AzureBlobStorageCredentials
from headrace_azure.tasks import logger, twin_tasks

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties


class AzureBlobStorageContainer(ObjectStoreBlock):
    """A container of Blob Storage, or a folder of one. Paths are relative to the folder, always; a leading `/` starts at the top of the container.

    Uploads replace what is there; `overwrite=False` among the further arguments has them refuse to.

    Example:
        ```python
        from headrace_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

        container = AzureBlobStorageContainer(container_name="reports", credentials=AzureBlobStorageCredentials.load("my-account"))
        container.upload_from_path("report.csv", "2024/report.csv")
        container.save("my-container")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Azure Blob Storage Container"
    _block_type_slug: ClassVar[str | None] = "azure-blob-storage-container"

    container_name: str = Field(description="The name of the Azure Blob Storage container.", min_length=1)
    credentials: AzureBlobStorageCredentials = Field(description="The credentials to use for authentication with Azure.")
    base_folder: str | None = Field(default=None, description="A base path to a folder within the container to use for reading and writing objects.")

    @property
    def basepath(self) -> str:
        """The folder that paths are relative to."""
        return self.base_folder or ""

    @property
    def container(self) -> str:
        """See `ObjectStoreBlock.container`."""
        return self.container_name

    def open_driver(self) -> BlobDriver:
        """See `ObjectStoreBlock.open_driver`."""
        return BlobDriver(self.credentials.get_container_client(self.container_name))

    def list_blobs(self) -> list[str]:
        """Return the whole names of all blobs in the container, whatever the block's folder is; marks of folders are left out.

        `list_paths` returns those in the folder, relative to it. Raises `ObjectStoreError` when the container cannot be used.
        """
        return [found.key for found in self.list_stored("/")]

    list_blobs, alist_blobs = twins(list_blobs)

    async def aupload_files(self, files: Mapping[str, Path]) -> list[str]:
        """Upload files to the paths that they are given by, several at once, and return their whole names.

        Raises `TransferError` that tells of each file that failed, after all others are there.
        """
        return await self._transferred(self._send_files, files)

    upload_files = blocking(aupload_files)

    def _send_files(self, transfer: Any, files: Mapping[str, Path]) -> list[str]:
        transfer.what = f"Upload to {self._described(self.prefix_of(None))}"
        transfer.expect(len(files), sum(file.stat().st_size for file in files.values()))

        def send(path: str) -> str:
            key = self.key_of(path)
            self._send(transfer, files[path], key, {})
            return key

        return transfer.each(files, send, str)

    def list_properties(self, name_starts_with: str | None = None, include: str | list[str] | None = None, **kwargs: Any) -> list[BlobProperties]:
        """Return what Azure tells of the blobs whose whole names begin so. `kwargs` go to the SDK's `ContainerClient.list_blobs`. Blocks."""
        client = self.credentials.get_container_client(self.container_name)
        return self._ask(lambda key: list(client.list_blobs(name_starts_with=name_starts_with, include=include, **kwargs)), name_starts_with or "")


def _container(name: str, credentials: AzureBlobStorageCredentials) -> AzureBlobStorageContainer:
    return AzureBlobStorageContainer(container_name=name, credentials=credentials)


def _download(container: str, blob: str, blob_storage_credentials: AzureBlobStorageCredentials) -> bytes:
    """Download a blob of a container and return its content.

    Raises `ObjectNotFound` when there is none, `ObjectStoreError` when the container cannot be used.

    Example:
        ```python
        from headrace import flow
        from headrace_azure import AzureBlobStorageCredentials
        from headrace_azure.blob_storage import blob_storage_download

        @flow
        def example_blob_storage_download_flow():
            credentials = AzureBlobStorageCredentials(connection_string="...")
            return blob_storage_download(container="headrace", blob="headrace.txt", blob_storage_credentials=credentials)
        ```
    """
    logger().info("Downloading blob %s from container %s", blob, container)
    return _container(container, blob_storage_credentials).read_path(f"/{blob}")


def _upload(
    data: bytes, container: str, blob_storage_credentials: AzureBlobStorageCredentials, blob: str | None = None, overwrite: bool = False
) -> str:
    """Upload `data` to a container and return the blob's name: the one given, else a random one.

    Raises the SDK's `ResourceExistsError` for a blob that is there, unless `overwrite`, and `ObjectStoreError` when the container cannot be used.

    Example:
        ```python
        with open("data.csv", "rb") as f:
            blob_storage_upload(data=f.read(), container="container", blob="data.csv", blob_storage_credentials=credentials)
        ```
    """
    from io import BytesIO

    name = blob or str(UUID(bytes=secrets.token_bytes(16), version=4))
    logger().info("Uploading blob %s to container %s", name, container)
    return _container(container, blob_storage_credentials).upload_from_file_object(BytesIO(data), f"/{name}", overwrite=overwrite)


def _list(
    container: str,
    blob_storage_credentials: AzureBlobStorageCredentials,
    name_starts_with: str | None = None,
    include: str | list[str] | None = None,
    **kwargs: Any,
) -> list[BlobProperties]:
    """Return what Azure tells of the blobs of a container, as the SDK's `BlobProperties`: `found.name`, `found["size"]`.

    `name_starts_with`: only those whose names begin so. `include`: what is told besides, one or more of 'snapshots', 'metadata', 'uncommittedblobs',
    'copy', 'deleted', 'deletedwithversions', 'tags', 'versions', 'immutabilitypolicy', 'legalhold'. `kwargs` go to the SDK's `list_blobs`.

    Raises `ObjectStoreError` when the container cannot be used.
    """
    logger().info("Listing blobs from container %s", container)
    return _container(container, blob_storage_credentials).list_properties(name_starts_with, include, **kwargs)


blob_storage_download, ablob_storage_download = twin_tasks(_download, "blob_storage_download")
blob_storage_upload, ablob_storage_upload = twin_tasks(_upload, "blob_storage_upload")
blob_storage_list, ablob_storage_list = twin_tasks(_list, "blob_storage_list")
