"""Steps that keep a project's code in a Cloud Storage bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from headrace_gcp.cloud_storage import GcsBucket
from headrace_gcp.credentials import GcpCredentials


class PushToGcsOutput(TypedDict):
    """What `push_to_gcs` gives to the steps after it."""

    bucket: str
    folder: str


class PullFromGcsOutput(TypedDict):
    """What `pull_from_gcs` gives to the steps after it; flows run in `directory`."""

    bucket: str
    folder: str
    directory: str


def push_to_gcs(
    bucket: str,
    folder: str,
    project: str | None = None,
    credentials: dict[str, Any] | GcpCredentials | None = None,
    ignore_file: str | None = ".headraceignore",
) -> PushToGcsOutput:
    """Upload the working directory to a folder of a bucket, without the files that `ignore_file` names, if there is one.

    `credentials`: a GcpCredentials block, or its fields; default: the Application Default Credentials. `project`: default: that of the
    credentials. Raises `TransferError` that tells of each file that failed.
    """
    found = _bucket(bucket, folder, project, credentials)
    rules = next((name for name in (ignore_file, ".prefectignore") if name and Path(name).is_file()), None)
    if ignore_file != ".headraceignore" and rules != ignore_file:
        rules = None
    found.put_directory(local_path=".", ignore_file=rules)
    return {"bucket": bucket, "folder": folder}


def pull_from_gcs(
    bucket: str, folder: str, project: str | None = None, credentials: dict[str, Any] | GcpCredentials | None = None
) -> PullFromGcsOutput:
    """Download a folder of a bucket into the working directory. The arguments are those of `push_to_gcs`.

    Raises `ObjectNotFound` when nothing is in the folder.
    """
    here = Path.cwd()
    found = _bucket(bucket, "", project, credentials)
    found.get_directory(folder or None, str(here))
    return {"bucket": bucket, "folder": folder, "directory": str(here)}


def _bucket(bucket: str, folder: str, project: str | None, credentials: dict[str, Any] | GcpCredentials | None) -> GcsBucket:
    given = credentials if isinstance(credentials, GcpCredentials) else GcpCredentials(**(credentials or {}))
    return GcsBucket(bucket=bucket, bucket_folder=folder, gcp_credentials=given.model_copy(update={"project": project}) if project else given)
