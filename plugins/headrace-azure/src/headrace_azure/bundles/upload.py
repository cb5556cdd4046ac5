"""`python -m headrace_azure.bundles.upload --container CONTAINER --key KEY … FILE`: keep a bundle in Blob Storage."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from headrace_azure.bundles.command import arguments, container_of, reporting


class UploadBundleToAzureBlobStorageOutput(TypedDict):
    """Where a bundle is kept."""

    container: str
    key: str


def upload_bundle_to_azure_blob_storage(
    local_filepath: Path, container: str, key: str, azure_blob_storage_credentials_block_name: str
) -> UploadBundleToAzureBlobStorageOutput:
    """Upload a bundle's file to a container and say where it is. An empty `key` stands for the file's name.

    `azure_blob_storage_credentials_block_name`: the block to log in with. Raises `ValueError` when there is no such file, and `RuntimeError` when
    the bundle cannot be stored.
    """
    file = Path(local_filepath)
    if not file.is_file():
        raise ValueError(f"The bundle {str(local_filepath)!r} cannot be uploaded: there is no such file.")
    key = key or file.name
    try:
        container_of(container, azure_blob_storage_credentials_block_name).upload_from_path(file, f"/{key}")
    except Exception as error:
        raise RuntimeError(f"The bundle could not be uploaded as {key!r} to the container {container!r}: {error}") from error
    return UploadBundleToAzureBlobStorageOutput(container=container, key=key)


def main() -> None:
    """Upload the bundle that the command line names."""
    given = arguments("Keep a bundle in a container of Blob Storage.", has_file=True)
    with reporting():
        name = given.azure_blob_storage_credentials_block_name
        upload_bundle_to_azure_blob_storage(Path(given.local_filepath), given.container, given.key, name)


if __name__ == "__main__":
    main()
