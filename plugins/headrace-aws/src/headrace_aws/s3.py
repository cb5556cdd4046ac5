"""S3: `S3Bucket`, and tasks for single objects of any bucket."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field, field_validator

from headrace.blocks.object_stores import ObjectStoreBlock, ObjectStoreDriver
from headrace.utilities.asyncutils import twins
from headrace_aws.client_parameters import AwsClientParameters
from headrace_aws.credentials import AwsCredentials, MinIOCredentials
from headrace_aws.s3_driver import S3Driver
from headrace_aws.tasks import twin_tasks


def get_s3_client(credentials: dict[str, Any] | None = None, client_parameters: dict[str, Any] | None = None) -> Any:
    """Return a boto3 client of S3, made from dictionaries as deployment steps have them.

    `credentials`: fields of `AwsCredentials`, or of `MinIOCredentials` if `minio_root_user` is among them. `client_parameters`: fields of
    `AwsClientParameters`; they go before those within the credentials.
    """
    return credentials_from(credentials, client_parameters).get_s3_client()


def credentials_from(
    credentials: Mapping[str, Any] | AwsCredentials | MinIOCredentials | None, client_parameters: Mapping[str, Any] | None = None
) -> AwsCredentials | MinIOCredentials:
    """Return the credentials block that a step's dictionaries stand for; see `get_s3_client`."""
    if isinstance(credentials, AwsCredentials | MinIOCredentials):
        found: AwsCredentials | MinIOCredentials = credentials
    else:
        values = {name: value for name, value in (credentials or {}).items() if value is not None}
        found = MinIOCredentials(**values) if "minio_root_user" in values else AwsCredentials(**values)
    if client_parameters:
        given = found.aws_client_parameters.model_dump(exclude_unset=True)
        found = found.model_copy(update={"aws_client_parameters": AwsClientParameters(**{**given, **client_parameters})})
    return found


class S3Bucket(ObjectStoreBlock):
    """Block used to store data using AWS S3 or S3-compatible object storage like MinIO.

    Paths are relative to `bucket_folder`, always; a path that begins with `/` starts at the top of the bucket.

    Example:
        ```python
        from headrace_aws import AwsCredentials, S3Bucket

        bucket = S3Bucket(bucket_name="my-bucket", credentials=AwsCredentials.load("my-account"))
        bucket.upload_from_path("report.csv", "reports/today.csv")
        bucket.save("my-bucket")
        ```
    """

    _block_type_name: ClassVar[str | None] = "S3 Bucket"
    _block_type_slug: ClassVar[str | None] = "s3-bucket"

    bucket_name: str = Field(description="Name of your bucket.")
    credentials: MinIOCredentials | AwsCredentials = Field(
        default_factory=AwsCredentials, description="A block containing your credentials to AWS or MinIO."
    )
    bucket_folder: str = Field(default="", description="A default path to a folder within the S3 bucket to use for reading and writing objects.")

    @field_validator("credentials", mode="before")
    @classmethod
    def validate_credentials(cls, value: Any) -> Any:
        """Tell the two kinds of credentials apart by the type of block that they were stored as."""
        if isinstance(value, Mapping):
            kind = value.get("block_type_slug")
            values = {name: item for name, item in value.items() if name != "block_type_slug"}
            if kind == "minio-credentials":
                return MinIOCredentials(**values)
            if kind == "aws-credentials":
                return AwsCredentials(**values)
        return value

    @property
    def basepath(self) -> str:
        """The folder that paths are relative to."""
        return self.bucket_folder

    @basepath.setter
    def basepath(self, value: str) -> None:
        self.bucket_folder = value

    @property
    def container(self) -> str:
        """See `ObjectStoreBlock.container`."""
        return self.bucket_name

    def open_driver(self) -> ObjectStoreDriver:
        """See `ObjectStoreBlock.open_driver`."""
        return S3Driver(self.credentials.get_s3_client(), self.bucket_name)

    def list_objects(
        self,
        folder: str = "",
        delimiter: str = "",
        page_size: int | None = None,
        max_items: int | None = None,
        jmespath_query: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return what S3 tells of the objects in a folder: dictionaries with `Key`, `Size`, `ETag`, `LastModified` and more.

        With a `delimiter`, `/` as a rule, objects whose names have it behind the folder's are left out. `page_size` is how many are asked for at
        once, `max_items` how many are returned at most. `jmespath_query` is applied to each page of the answer, as in
        `"Contents[?Size > `100`]"`; what it selects is returned.

        Raises `ObjectStoreError` when the bucket cannot be used.
        """
        return self.list_raw(self.prefix_of(folder), delimiter, page_size, max_items, jmespath_query)

    list_objects, alist_objects = twins(list_objects)

    def list_raw(
        self, prefix: str, delimiter: str = "", page_size: int | None = None, max_items: int | None = None, jmespath_query: str | None = None
    ) -> list[dict[str, Any]]:
        """Return what `list_objects` does, by a prefix of whole keys instead of a folder. Blocks."""

        def listed(key: str) -> list[dict[str, Any]]:
            return _listed(self.credentials.get_s3_client(), self.bucket_name, key, delimiter, page_size, max_items, jmespath_query)

        return self._ask(listed, prefix)


def _listed(
    client: Any, bucket: str, prefix: str, delimiter: str, page_size: int | None, max_items: int | None, jmespath_query: str | None
) -> list[dict[str, Any]]:
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": page_size, "MaxItems": max_items}
    )
    if jmespath_query:
        return [one for one in pages.search(jmespath_query) if one is not None]
    return [one for page in pages for one in page.get("Contents", ())]


def _bucket(name: str, credentials: AwsCredentials | MinIOCredentials, client_parameters: AwsClientParameters | None = None) -> S3Bucket:
    given = client_parameters.model_dump(exclude_unset=True) if client_parameters is not None else None
    return S3Bucket(bucket_name=name, credentials=credentials_from(credentials, given))


def _download(bucket: str, key: str, aws_credentials: AwsCredentials, aws_client_parameters: AwsClientParameters = AwsClientParameters()) -> bytes:
    """Download an object of a bucket and return its content. `aws_client_parameters` go before those of the credentials.

    Raises `ObjectNotFound` when there is none, `ObjectStoreError` when the bucket cannot be used.
    """
    return _bucket(bucket, aws_credentials, aws_client_parameters).read_path(f"/{key}")


def _upload(
    data: bytes,
    bucket: str,
    aws_credentials: AwsCredentials,
    aws_client_parameters: AwsClientParameters = AwsClientParameters(),
    key: str | None = None,
) -> str:
    """Upload `data` to a bucket and return the object's key: the one given, else a random one. What was there is replaced.

    Raises `ObjectStoreError` when the bucket cannot be used.
    """
    return _bucket(bucket, aws_credentials, aws_client_parameters).write_path(f"/{key or UUID(bytes=secrets.token_bytes(16), version=4)}", data)


def _copy(
    source_path: str | Path,
    target_path: str | Path,
    source_bucket_name: str,
    aws_credentials: AwsCredentials,
    target_bucket_name: str | None = None,
    **copy_kwargs: Any,
) -> str:
    """Copy an object within a bucket, or to another one, without downloading it; return the new key. `copy_kwargs` go to S3's `copy_object`.

    The credentials must allow to read the one and to write the other. Raises `ObjectNotFound`, and `ObjectStoreError` when a bucket cannot be used.
    """
    source = _bucket(source_bucket_name, aws_credentials)
    return source.copy_object(_absolute(source_path), _absolute(target_path), target_bucket_name, **copy_kwargs)


def _move(
    source_path: str | Path,
    target_path: str | Path,
    source_bucket_name: str,
    aws_credentials: AwsCredentials,
    target_bucket_name: str | None = None,
) -> str:
    """Move an object within a bucket, or to another one; return the new key.

    It is copied, then deleted. When it cannot be deleted there are two, and the error is raised.
    """
    return _bucket(source_bucket_name, aws_credentials).move_object(_absolute(source_path), _absolute(target_path), target_bucket_name)


def _list(
    bucket: str,
    aws_credentials: AwsCredentials,
    aws_client_parameters: AwsClientParameters = AwsClientParameters(),
    prefix: str = "",
    delimiter: str = "",
    page_size: int | None = None,
    max_items: int | None = None,
    jmespath_query: str | None = None,
) -> list[dict[str, Any]]:
    """Return what S3 tells of the objects of a bucket whose keys begin with `prefix`; see `S3Bucket.list_objects`."""
    found = _bucket(bucket, aws_credentials, aws_client_parameters)
    return found.list_raw(prefix, delimiter, page_size, max_items, jmespath_query)


def _absolute(path: str | Path) -> str:
    return f"/{path.as_posix() if isinstance(path, Path) else path}"


download_from_bucket, adownload_from_bucket = twin_tasks(_download, "download_from_bucket")
upload_to_bucket, aupload_to_bucket = twin_tasks(_upload, "upload_to_bucket")
copy_objects, acopy_objects = twin_tasks(_copy, "copy_objects")
move_objects, amove_objects = twin_tasks(_move, "move_objects")
list_objects, alist_objects = twin_tasks(_list, "list_objects")
