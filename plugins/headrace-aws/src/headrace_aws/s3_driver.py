"""One bucket of S3, as the object store base of headrace asks for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from headrace.blocks.object_stores import ObjectNotFound, ObjectStoreDriver, ObjectStoreError, Progress, StoredObject
from headrace_aws.errors import Sort, code_of, meaning_of, text_of

if TYPE_CHECKING:
    from s3transfer.manager import TransferManager

PIECE_BYTES = 1024 * 1024
"""How much of an object is read at once."""
SMALL_BYTES = 8 * 1024 * 1024
"""A smaller object goes over in one request; larger ones in parts of this size, several at once."""
NOT_FOUND = ("404", "NoSuchKey", "NotFound", "NoSuchVersion")
_NO_BUCKET = ("NoSuchBucket",)
_TOO_LARGE_TO_COPY = ("InvalidRequest", "EntityTooLarge")


class S3Driver(ObjectStoreDriver):
    """Talks to one bucket. The client may be shared."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._is_there = False
        """Whether the bucket is known to exist: then a missing key is no missing bucket."""
        self._manager: TransferManager | None = None
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """See `ObjectStoreDriver.place`."""
        return f"s3://{self._bucket}"

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See `ObjectStoreDriver.list`."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            self._is_there = True
            for one in page.get("Contents", ()):
                yield StoredObject(one["Key"], one["Size"], one.get("ETag"))

    def head(self, key: str) -> StoredObject:
        """See `ObjectStoreDriver.head`."""
        found = self._client.head_object(Bucket=self._bucket, Key=key)
        self._is_there = True
        return StoredObject(key, found["ContentLength"], found.get("ETag"))

    def read(self, key: str, start: int = 0, version: str | None = None, **options: Any) -> Iterator[bytes]:
        """See `ObjectStoreDriver.read`. `options`: `ExtraArgs` and `Callback`, as boto3's `download_fileobj` has them."""
        asked: dict[str, Any] = {"Bucket": self._bucket, "Key": key, **(options.get("ExtraArgs") or {})}
        if start:
            asked["Range"] = f"bytes={start}-"
        if version is not None:
            asked["IfMatch"] = version
        callback = options.get("Callback")
        body = self._client.get_object(**asked)["Body"]
        try:
            for piece in body.iter_chunks(PIECE_BYTES):
                if callback is not None:
                    callback(len(piece))
                yield piece
        finally:
            body.close()

    def write(self, key: str, content: BinaryIO, size: int | None, progress: Progress, **options: Any) -> None:
        """See `ObjectStoreDriver.write`. `options`: `ExtraArgs`, `Callback` and `Config`, as boto3's `upload_fileobj` has them."""
        extra = dict(options.get("ExtraArgs") or {})
        if size is not None and size < SMALL_BYTES and options.get("Config") is None:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content.read(), **extra)
            progress(size)
            if options.get("Callback") is not None:
                options["Callback"](size)
            return
        source = _file_of(content, size)
        self._wait(self._transfers(options).upload(source, self._bucket, key, extra_args=extra, subscribers=_told(progress, options)))

    def delete(self, key: str) -> None:
        """See `ObjectStoreDriver.delete`."""
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def copy(self, key: str, to_container: str | None, to_key: str, **options: Any) -> None:
        """See `ObjectStoreDriver.copy`. `options` are arguments of S3's CopyObject; an object of more than 5 GiB is copied in parts."""
        from botocore.exceptions import ClientError

        source = {"Bucket": self._bucket, "Key": key}
        target = to_container or self._bucket
        try:
            self._client.copy_object(CopySource=source, Bucket=target, Key=to_key, **options)
        except ClientError as error:
            if code_of(error) not in _TOO_LARGE_TO_COPY or "larger than" not in str(error):
                raise
            self._client.copy(source, target, to_key, ExtraArgs=options)

    def download(self, key: str, path: Path, progress: Progress, **options: Any) -> bool:
        """See `ObjectStoreDriver.download`. `options` as for `read`, and `Config`."""
        extra = dict(options.get("ExtraArgs") or {})
        self._wait(self._transfers(options).download(self._bucket, key, str(path), extra_args=extra, subscribers=_told(progress, options)))
        return True

    def explain(self, error: Exception, key: str) -> Exception | None:
        """See `ObjectStoreDriver.explain`."""
        code = code_of(error)
        if code in _NO_BUCKET or (code in NOT_FOUND and not self._has_bucket()):
            return ObjectStoreError(f"There is no bucket {self._bucket!r}. Correct its name, or make it, with the same account and region.")
        if code in NOT_FOUND:
            return ObjectNotFound(f"There is no object {self.place}/{key}. Check the path; it is relative to the block's folder.")
        meaning = meaning_of(error)
        if meaning is None or meaning.sort is Sort.OTHER:
            return None
        if meaning.sort is Sort.PERMISSION and getattr(error, "operation_name", "") in ("HeadObject", "GetObject"):
            return ObjectStoreError(
                f"{self.place}/{key} cannot be read: {text_of(error)}. Either the credentials lack `s3:GetObject`, or there is no such object and "
                "they lack `s3:ListBucket`, without which S3 does not tell."
            )
        return ObjectStoreError(f"{self.place}/{key} cannot be used: {text_of(error).rstrip('.')}. {meaning.advice}")

    def is_passing(self, error: Exception) -> bool:
        """See `ObjectStoreDriver.is_passing`."""
        meaning = meaning_of(error)
        if meaning is not None:
            return meaning.sort in (Sort.UNREACHABLE, Sort.BUSY)
        return super().is_passing(error)

    def close(self) -> None:
        """See `ObjectStoreDriver.close`."""
        with self._lock:
            manager, self._manager = self._manager, None
        if manager is not None:
            manager.shutdown()

    def _has_bucket(self) -> bool:
        """Say whether the bucket exists, as far as one can know: a HEAD of a key says 404 in either case."""
        if not self._is_there:
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except Exception as error:  # noqa: BLE001  # any other trouble than 404 tells nothing about the bucket
                return code_of(error) not in NOT_FOUND
            self._is_there = True
        return True

    def _transfers(self, options: dict[str, Any]) -> Any:
        """Return what moves large objects in parts; one for all threads, so that their number has a limit."""
        from s3transfer.manager import TransferConfig, TransferManager

        if options.get("Config") is not None:
            from boto3.s3.transfer import create_transfer_manager

            return create_transfer_manager(self._client, options["Config"])
        with self._lock:
            if self._manager is None:
                self._manager = TransferManager(self._client, TransferConfig(multipart_threshold=SMALL_BYTES, multipart_chunksize=SMALL_BYTES))
            return self._manager

    @staticmethod
    def _wait(future: Any) -> None:
        try:
            future.result()
        except BaseException:
            future.cancel()
            raise


def _file_of(content: BinaryIO, size: int | None) -> Any:
    """Return the path of an open file that is sent as a whole: its parts are then read side by side. Else what was given."""
    name = getattr(content, "name", None) if isinstance(content, BufferedReader) else None
    is_whole = isinstance(name, str) and content.seekable() and content.tell() == 0 and os.path.getsize(name) == size
    return name if is_whole else content


def _told(progress: Progress, options: dict[str, Any]) -> list[Any]:
    """Return what tells of the bytes that have gone over."""
    from s3transfer.subscribers import BaseSubscriber

    also = options.get("Callback")

    class Told(BaseSubscriber):
        def on_progress(self, future: Any, bytes_transferred: int, **_: Any) -> None:
            progress(bytes_transferred)
            if also is not None:
                also(bytes_transferred)

    return [Told()]
