"""`python -m headrace_gcp.bundles.execute --bucket BUCKET --key KEY`: run a bundle that is kept in a bucket."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from headrace._experimental.bundles import execute_bundle_from_file
from headrace_gcp.bundles.command import arguments, bucket_of, reporting


def execute_bundle_from_gcs(bucket: str, key: str, gcp_credentials_block_name: str | None = None) -> None:
    """Download a bundle from a bucket and run its flow here, to its end. The files that belong to it are put into the working directory.

    `gcp_credentials_block_name`: the block to log in with; default: the Application Default Credentials. Raises `ObjectNotFound`.
    """
    store = bucket_of(bucket, gcp_credentials_block_name)
    with tempfile.TemporaryDirectory(prefix="headrace-bundle-") as folder:
        bundle = Path(folder) / "bundle.json"
        store.download_object_to_path(f"/{key}", bundle)
        files_key = json.loads(bundle.read_text(encoding="utf-8")).get("files_key")
        files = store.download_object_to_path(f"/{files_key}", Path(folder) / "files.zip") if files_key else None
        store.close()
        execute_bundle_from_file(str(bundle), files)


def main() -> None:
    """Run the bundle that the command line names."""
    given = arguments("Run a bundle that is kept in a Cloud Storage bucket.", has_file=False)
    with reporting():
        execute_bundle_from_gcs(given.bucket, given.key, given.gcp_credentials_block_name)


if __name__ == "__main__":
    main()
