"""What both commands for bundles share: their arguments, the container, and one line for what went wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from contextlib import contextmanager

from headrace_azure.blob_storage import AzureBlobStorageContainer
from headrace_azure.credentials import AzureBlobStorageCredentials


def arguments(description: str, has_file: bool) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=description)
    if has_file:
        parser.add_argument("local_filepath", help="The bundle's file.")
    parser.add_argument("--container", required=True, help="The container's name.")
    parser.add_argument("--key", required=not has_file, default="", help="The blob's name; default for an upload: the file's name.")
    parser.add_argument("--azure-blob-storage-credentials-block-name", required=True, help="The block to log in with.")
    return parser.parse_args()


def container_of(container: str, azure_blob_storage_credentials_block_name: str) -> AzureBlobStorageContainer:
    """Return the container, opened with the credentials of that block."""
    credentials = AzureBlobStorageCredentials.load(azure_blob_storage_credentials_block_name)
    return AzureBlobStorageContainer(container_name=container, credentials=credentials)


@contextmanager
def reporting() -> Generator[None]:
    """End the process with status 1 and one line on standard error when something goes wrong."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the process's border: whoever called reads the line
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
