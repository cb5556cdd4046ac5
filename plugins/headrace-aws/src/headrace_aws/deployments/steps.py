"""Steps of project files that keep code in S3, and fetch it from there.

push:
  - headrace_aws.deployments.steps.push_to_s3:
      requires: headrace-aws
      bucket: my-bucket
      folder: my-project
      credentials: "{{ headrace.blocks.aws-credentials.dev-credentials }}"
pull:
  - headrace_aws.deployments.steps.pull_from_s3:
      requires: headrace-aws
      bucket: my-bucket
      folder: my-project
      credentials: "{{ headrace.blocks.aws-credentials.dev-credentials }}"
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from headrace_aws.s3 import S3Bucket, credentials_from

IGNORE_FILES = (".headraceignore", ".prefectignore")


class PushToS3Output(TypedDict):
    """The output of the `push_to_s3` step."""

    bucket: str
    folder: str


class PullFromS3Output(TypedDict):
    """The output of the `pull_from_s3` step."""

    bucket: str
    folder: str
    directory: str


def push_to_s3(
    bucket: str,
    folder: str,
    credentials: dict[str, Any] | None = None,
    client_parameters: dict[str, Any] | None = None,
    ignore_file: str | None = ".headraceignore",
) -> PushToS3Output:
    """Upload the working directory to a folder of a bucket, except what the patterns in `ignore_file` match; without such a file, all of it.

    `credentials` are those of AWS (`aws_access_key_id`, `aws_secret_access_key`, `aws_session_token`, …) or of MinIO (`minio_root_user`,
    `minio_root_password`), or a reference to a block; without them they are looked for as boto3 does. `client_parameters`: fields of
    `AwsClientParameters`. A `.prefectignore` counts where there is no `.headraceignore`.

    Raises `ObjectStoreError` when the bucket cannot be used, `TransferError` naming each file that could not be uploaded.
    """
    names = IGNORE_FILES if ignore_file in IGNORE_FILES else (ignore_file,)
    ignored = next((name for name in names if name is not None and Path(name).is_file()), None)
    target = S3Bucket(bucket_name=bucket, bucket_folder=folder, credentials=credentials_from(credentials, client_parameters))
    try:
        target.put_directory(ignore_file=ignored)
    finally:
        target.close()
    return PushToS3Output(bucket=bucket, folder=folder)


def pull_from_s3(
    bucket: str, folder: str, credentials: dict[str, Any] | None = None, client_parameters: dict[str, Any] | None = None
) -> PullFromS3Output:
    """Download a folder of a bucket into the working directory. `credentials` and `client_parameters` as for `push_to_s3`.

    Raises `ObjectNotFound` when nothing is there, `ObjectStoreError` when the bucket cannot be used, `TransferError` naming each object that failed.
    """
    here = Path.cwd()
    source = S3Bucket(bucket_name=bucket, credentials=credentials_from(credentials, client_parameters))
    try:
        source.get_directory(f"/{folder}", str(here))
    finally:
        source.close()
    return PullFromS3Output(bucket=bucket, folder=folder, directory=str(here))
