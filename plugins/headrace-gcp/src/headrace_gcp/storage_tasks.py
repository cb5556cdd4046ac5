"""Tasks for single objects of Cloud Storage; `headrace_gcp.cloud_storage` is where they are imported from."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

from headrace import get_run_logger, task
from headrace.blocks.credentials import revealed
from headrace_gcp.credentials import GcpCredentials
from headrace_gcp.progress import mebibytes, telling
from headrace_gcp.storage_driver import GcsDriver
from headrace_gcp.tasks import waiting

Timeout = float | tuple[float, float]
"""Seconds that the service may take to answer, or those to connect and those to answer."""


@task
def cloud_storage_create_bucket(
    bucket: str, gcp_credentials: GcpCredentials, project: str | None = None, location: str | None = None, **create_kwargs: Any
) -> str:
    """Create a bucket and return its name. `create_kwargs` go to the SDK's `Client.create_bucket`.

    Raises the SDK's `Conflict` when the name is taken, by whomever: names are the same for all of Google Cloud.
    """
    get_run_logger().info("Creating bucket %s.", bucket)
    with _bucket(bucket, gcp_credentials, project) as driver:
        driver.client.create_bucket(bucket, location=location, **create_kwargs)
    return bucket


@task
def cloud_storage_download_blob_as_bytes(
    bucket: str,
    blob: str,
    gcp_credentials: GcpCredentials,
    chunk_size: int | None = None,
    encryption_key: str | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **download_kwargs: Any,
) -> bytes:
    """Return an object's content. `download_kwargs` go to the SDK's `Blob.download_as_bytes`.

    `chunk_size`: bytes to fetch with one request, a multiple of 256 KiB. `encryption_key`: that of the customer, 32 bytes. Raises `ObjectNotFound`.
    """
    get_run_logger().info("Downloading blob named %s from the %s bucket.", blob, bucket)
    content = BytesIO()
    with _blob(bucket, blob, gcp_credentials, chunk_size, encryption_key, project) as found, _telling("Downloaded", content.tell):
        found.download_to_file(content, timeout=timeout, **download_kwargs)
    return content.getvalue()


@task
def cloud_storage_download_blob_to_file(
    bucket: str,
    blob: str,
    path: str | Path,
    gcp_credentials: GcpCredentials,
    chunk_size: int | None = None,
    encryption_key: str | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **download_kwargs: Any,
) -> str | Path:
    """Download an object into a file and return that file's path; a directory stands for a file of the object's name in it.

    `download_kwargs` go to the SDK's `Blob.download_to_filename`; the others are as for `cloud_storage_download_blob_as_bytes`. Raises
    `ObjectNotFound`; then no file is left.
    """
    get_run_logger().info("Downloading blob named %s from the %s bucket to %s.", blob, bucket, path)
    if Path(path).is_dir():
        path = type(path)(Path(path).joinpath(*[part for part in blob.split("/") if part not in ("", ".", "..")]))
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with _blob(bucket, blob, gcp_credentials, chunk_size, encryption_key, project) as found, _telling("Downloaded", lambda: _size(path)):
        found.download_to_filename(str(path), timeout=timeout, **download_kwargs)
    return path


@task
def cloud_storage_upload_blob_from_string(
    data: str | bytes,
    bucket: str,
    blob: str,
    gcp_credentials: GcpCredentials,
    content_type: str | None = None,
    chunk_size: int | None = None,
    encryption_key: str | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **upload_kwargs: Any,
) -> str:
    """Make `data` the content of an object, replacing what is there, and return the object's name.

    `content_type`: default text/plain. `upload_kwargs` go to the SDK's `Blob.upload_from_string`.
    """
    get_run_logger().info("Uploading blob named %s to the %s bucket.", blob, bucket)
    with _blob(bucket, blob, gcp_credentials, chunk_size, encryption_key, project) as found:
        kind = {"content_type": content_type} if content_type else {}
        found.upload_from_string(data, **{"timeout": timeout, **kind, **upload_kwargs})
    return blob


@task
def cloud_storage_upload_blob_from_file(
    file: str | Path | BytesIO,
    bucket: str,
    blob: str,
    gcp_credentials: GcpCredentials,
    content_type: str | None = None,
    chunk_size: int | None = None,
    encryption_key: str | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **upload_kwargs: Any,
) -> str:
    """Upload a file, or what an open file holds from its start, replacing what is there; return the object's name.

    `upload_kwargs` go to the SDK's `Blob.upload_from_file`, as those of `Blob.upload_from_filename`.
    """
    get_run_logger().info("Uploading blob named %s to the %s bucket.", blob, bucket)
    with (
        _blob(bucket, blob, gcp_credentials, chunk_size, encryption_key, project) as found,
        Path(file).expanduser().open("rb") if isinstance(file, str | Path) else nullcontext(file) as content,
        _telling("Uploaded", content.tell),
    ):
        if isinstance(file, str | Path):
            upload_kwargs = {"size": _size(Path(file).expanduser()), **upload_kwargs}
            content_type = content_type or mimetypes.guess_type(file)[0]
        found.upload_from_file(content, content_type=content_type, timeout=timeout, **{"rewind": True, **upload_kwargs})
    return blob


@task
def cloud_storage_copy_blob(
    source_bucket: str,
    dest_bucket: str,
    source_blob: str,
    gcp_credentials: GcpCredentials,
    dest_blob: str | None = None,
    timeout: Timeout = 60,
    project: str | None = None,
    **copy_kwargs: Any,
) -> str:
    """Copy an object to a bucket, within Cloud Storage, and return the new one's name: by default that of the first.

    `copy_kwargs` go to the SDK's `Bucket.copy_blob`. Raises `ObjectNotFound`.
    """
    target = dest_blob or source_blob
    get_run_logger().info("Copying blob named %s from the %s bucket to the %s bucket.", source_blob, source_bucket, dest_bucket)
    with _bucket(source_bucket, gcp_credentials, project, source_blob) as driver:
        bucket: Any = driver.bucket
        bucket.copy_blob(bucket.blob(source_blob), driver.client.bucket(dest_bucket), new_name=target, timeout=timeout, **copy_kwargs)
    return target


acloud_storage_create_bucket = waiting(cloud_storage_create_bucket)
acloud_storage_download_blob_as_bytes = waiting(cloud_storage_download_blob_as_bytes)
acloud_storage_download_blob_to_file = waiting(cloud_storage_download_blob_to_file)
acloud_storage_upload_blob_from_string = waiting(cloud_storage_upload_blob_from_string)
acloud_storage_upload_blob_from_file = waiting(cloud_storage_upload_blob_from_file)


def _telling(what: str, size: Callable[[], int]) -> AbstractContextManager[None]:
    """Tell of a long transfer how far it is."""
    logger = get_run_logger()
    return telling(lambda seconds: logger.info("%s %s in %d seconds so far.", what, mebibytes(size()), seconds))


def _size(path: str | Path) -> int:
    return Path(path).stat().st_size if Path(path).exists() else 0


@contextmanager
def _bucket(bucket: str, gcp_credentials: GcpCredentials, project: str | None, key: str = "") -> Generator[GcsDriver]:
    """Give a driver of a bucket; what the service says meanwhile is explained."""
    driver = GcsDriver(gcp_credentials.get_cloud_storage_client(project), bucket, gcp_credentials.account)
    try:
        yield driver
    except Exception as error:
        explained = driver.explain(error, key)
        if explained is None:
            raise
        raise explained from error
    finally:
        driver.close()


@contextmanager
def _blob(
    bucket: str, blob: str, gcp_credentials: GcpCredentials, chunk_size: int | None, encryption_key: str | None, project: str | None
) -> Generator[Any]:
    with _bucket(bucket, gcp_credentials, project, blob) as driver:
        yield driver.bucket.blob(blob, chunk_size=chunk_size, encryption_key=revealed(encryption_key))
