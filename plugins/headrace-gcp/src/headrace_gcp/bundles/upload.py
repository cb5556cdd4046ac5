"""`python -m headrace_gcp.bundles.upload --bucket BUCKET --key KEY FILE`: keep a bundle in a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from headrace_gcp.bundles.command import arguments, bucket_of, reporting


class UploadBundleToGcsOutput(TypedDict):
    """Where a bundle is kept."""

    bucket: str
    key: str


def upload_bundle_to_gcs(local_filepath: Path, bucket: str, key: str, gcp_credentials_block_name: str | None = None) -> UploadBundleToGcsOutput:
    """Upload a bundle's file to a bucket and say where it is. An empty `key` stands for the file's name.

    `gcp_credentials_block_name`: the block to log in with; default: the Application Default Credentials. Raises `ValueError` when there is no
    such file, and `RuntimeError` when the bundle cannot be stored.
    """
    if not Path(local_filepath).exists():
        raise ValueError(f"The bundle {str(local_filepath)!r} cannot be uploaded: there is no such file.")
    key = key or Path(local_filepath).name
    try:
        bucket_of(bucket, gcp_credentials_block_name).upload_from_path(local_filepath, f"/{key}")
    except Exception as error:
        raise RuntimeError(f"The bundle could not be uploaded to gs://{bucket}/{key}: {error}") from error
    return {"bucket": bucket, "key": key}


def main() -> None:
    """Upload the bundle that the command line names."""
    given = arguments("Keep a bundle in a Cloud Storage bucket.", has_file=True)
    with reporting():
        upload_bundle_to_gcs(Path(given.local_filepath), given.bucket, given.key or "", given.gcp_credentials_block_name)


if __name__ == "__main__":
    main()
