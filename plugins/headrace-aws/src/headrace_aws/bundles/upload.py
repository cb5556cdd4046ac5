"""`python -m headrace_aws.bundles.upload --bucket BUCKET --key KEY FILE`: keep a bundle in a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from headrace_aws.bundles.command import arguments, bucket_of, reporting


class UploadResult(TypedDict):
    """Where a bundle is kept; `url` is `s3://bucket/key`."""

    bucket: str
    key: str
    url: str


def upload_bundle_to_s3(local_filepath: str, bucket: str, key: str, aws_credentials_block_name: str | None = None) -> UploadResult:
    """Upload a bundle's file to a bucket and say where it is. An empty `key` stands for the file's name.

    `aws_credentials_block_name`: the block to log in with; default: what boto3 finds. Raises ValueError when there is no such file, RuntimeError when
    the bundle cannot be kept.
    """
    file = Path(local_filepath)
    if not file.is_file():
        raise ValueError(f"The bundle {local_filepath!r} cannot be uploaded: there is no such file.")
    key = key or file.name
    try:
        bucket_of(bucket, aws_credentials_block_name).upload_from_path(file, f"/{key}")
    except Exception as error:
        raise RuntimeError(f"The bundle could not be uploaded to s3://{bucket}/{key}: {error}") from error
    return UploadResult(bucket=bucket, key=key, url=f"s3://{bucket}/{key}")


def main() -> None:
    """Upload the bundle that the command line names."""
    given = arguments("Keep a bundle in an S3 bucket.", has_file=True)
    with reporting():
        upload_bundle_to_s3(given.local_filepath, given.bucket, given.key, given.aws_credentials_block_name)


if __name__ == "__main__":
    main()
