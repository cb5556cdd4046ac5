"""What both commands for bundles share: their arguments, the bucket, and one line for what went wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from contextlib import contextmanager

from headrace_aws.credentials import AwsCredentials
from headrace_aws.s3 import S3Bucket


def arguments(description: str, has_file: bool) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=description)
    if has_file:
        parser.add_argument("local_filepath", help="The bundle's file.")
    parser.add_argument("--bucket", required=True, help="The bucket's name.")
    parser.add_argument("--key", required=not has_file, default="", help="The object's key; default for an upload: the file's name.")
    parser.add_argument("--aws-credentials-block-name", default=None, help="The block to log in with; default: what boto3 finds.")
    return parser.parse_args()


def bucket_of(bucket: str, aws_credentials_block_name: str | None) -> S3Bucket:
    """Return the bucket, opened with the credentials of that block, or with those that boto3 finds."""
    credentials = AwsCredentials.load(aws_credentials_block_name) if aws_credentials_block_name else AwsCredentials()
    return S3Bucket(bucket_name=bucket, credentials=credentials)


@contextmanager
def reporting() -> Generator[None]:
    """End the process with status 1 and one line on standard error when something goes wrong."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the process's border: whoever called reads the line
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
