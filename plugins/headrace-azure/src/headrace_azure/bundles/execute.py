"""`python -m headrace_azure.bundles.execute --container CONTAINER --key KEY …`: run a bundle that is kept in Blob Storage."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from headrace._experimental.bundles import execute_bundle_from_file
from headrace_azure.bundles.command import arguments, container_of, reporting


def execute_bundle_from_azure_blob_storage(container: str, key: str, azure_blob_storage_credentials_block_name: str) -> None:
    """Download a bundle from a container and run its flow here, to its end. The files that belong to it are put into the working directory.

    `azure_blob_storage_credentials_block_name`: the block to log in with. Raises `ObjectNotFound`.
    """
    store = container_of(container, azure_blob_storage_credentials_block_name)
    with tempfile.TemporaryDirectory(prefix="headrace-bundle-") as folder:
        bundle = store.download_object_to_path(f"/{key}", Path(folder) / "bundle.json")
        files_key = json.loads(bundle.read_text(encoding="utf-8")).get("files_key")
        files = store.download_object_to_path(f"/{files_key}", Path(folder) / "files.zip") if files_key else None
        store.close()
        execute_bundle_from_file(str(bundle), files)


def main() -> None:
    """Run the bundle that the command line names."""
    given = arguments("Run a bundle that is kept in a container of Blob Storage.", has_file=False)
    with reporting():
        execute_bundle_from_azure_blob_storage(given.container, given.key, given.azure_blob_storage_credentials_block_name)


if __name__ == "__main__":
    main()
