"""`python -m headrace_aws.bundles.execute --bucket BUCKET --key KEY`: run a bundle that is kept in a bucket."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TypedDict

from headrace._experimental.bundles import execute_bundle_from_file
from headrace_aws.bundles.command import arguments, bucket_of, reporting


class DownloadResult(TypedDict):
    """Where a bundle was downloaded to."""

    local_path: str


def download_bundle_from_s3(bucket: str, key: str, output_dir: str | None = None, aws_credentials_block_name: str | None = None) -> DownloadResult:
    """Download a bundle into a folder, a new temporary one without `output_dir`, and say where it is.

    `aws_credentials_block_name`: the block to log in with; default: what boto3 finds. Raises `ObjectNotFound`, `ObjectStoreError`.
    """
    folder = Path(output_dir or tempfile.mkdtemp(prefix="headrace-bundle-"))
    folder.mkdir(parents=True, exist_ok=True)
    path = bucket_of(bucket, aws_credentials_block_name).download_object_to_path(f"/{key}", folder / Path(key).name)
    return DownloadResult(local_path=str(path))


def execute_bundle_from_s3(bucket: str, key: str, aws_credentials_block_name: str | None = None) -> None:
    """Download a bundle and run its flow in this process, to its end. Files that belong to it are put into the working directory first.

    `aws_credentials_block_name`: the block to log in with; default: what boto3 finds. Raises `ObjectNotFound`.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-bundle-") as folder:
        bundle = download_bundle_from_s3(bucket, key, folder, aws_credentials_block_name)["local_path"]
        files_key = json.loads(Path(bundle).read_text(encoding="utf-8")).get("files_key")
        files = None
        if files_key:
            files = bucket_of(bucket, aws_credentials_block_name).download_object_to_path(f"/{files_key}", Path(folder) / "files.zip")
        execute_bundle_from_file(bundle, files)


def main() -> None:
    """Run the bundle that the command line names."""
    given = arguments("Run a bundle that is kept in an S3 bucket.", has_file=False)
    with reporting():
        execute_bundle_from_s3(given.bucket, given.key, given.aws_credentials_block_name)


if __name__ == "__main__":
    main()
