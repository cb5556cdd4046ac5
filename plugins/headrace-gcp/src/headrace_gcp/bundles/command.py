"""What both commands for bundles share: their arguments, the bucket, and one line for what went wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from contextlib import contextmanager

from headrace_gcp.cloud_storage import GcsBucket
from headrace_gcp.credentials import GcpCredentials


def arguments(description: str, has_file: bool) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=description)
    if has_file:
        parser.add_argument("local_filepath", help="The bundle's file.")
    parser.add_argument("--bucket", required=True, help="The bucket's name.")
    parser.add_argument("--key", required=not has_file, help="The object's name; default for an upload: the file's name.")
    parser.add_argument("--gcp-credentials-block-name", default=None, help="The block to log in with.")
    return parser.parse_args()


def bucket_of(bucket: str, gcp_credentials_block_name: str | None) -> GcsBucket:
    """Return the bucket, opened with the credentials of that block, or with the Application Default Credentials."""
    if gcp_credentials_block_name is None:
        return GcsBucket(bucket=bucket)
    return GcsBucket(bucket=bucket, gcp_credentials=GcpCredentials.load(gcp_credentials_block_name))


@contextmanager
def reporting() -> Generator[None]:
    """End the process with status 1 and one line on standard error when something goes wrong."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # the process's border: whoever called reads the line
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
