"""Cloud Storage as an object store: streams, resumable uploads, and what the service's errors mean."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Iterator
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from queue import Full, Queue
from typing import TYPE_CHECKING, Any, BinaryIO

from headrace.blocks.object_stores import ObjectNotFound, ObjectStoreDriver, ObjectStoreError, Progress, StoredObject
from headrace_gcp.credentials import no_token
from headrace_gcp.settings import GcpSettings
from headrace_gcp.storage_parts import PART_BYTES, download_parts

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client
    from google.cloud.storage.bucket import Bucket

CHUNK_BYTES = 16 * 1024 * 1024
"""What is sent with one request of an upload that can be taken up again."""
PIECE_BYTES = 1024 * 1024
"""The largest piece of a download."""
PIECES_WAITING_MAX = 4
RETRIED_TIMES = 2
"""How long requests are tried again, as a multiple of the time that each may take."""
STOP_CHECK_SECONDS = 0.2


class GcsDriver(ObjectStoreDriver):
    """One bucket. `account` is who asks, for messages."""

    def __init__(self, client: Client, bucket: str, account: str) -> None:
        self._client = client
        self._name = bucket
        self._account = account
        self._seconds = GcpSettings().request_timeout_seconds

    @property
    def bucket(self) -> Bucket:
        """The SDK's bucket; nothing is asked of the service for it."""
        return self._client.bucket(self._name)

    @property
    def client(self) -> Client:
        """The SDK's client."""
        return self._client

    @property
    def place(self) -> str:
        """The bucket's address."""
        return f"gs://{self._name}"

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects below a prefix, a page of up to 1,000 at a time."""
        fields = "items(name,size,generation,contentEncoding),nextPageToken"
        for blob in self._client.list_blobs(self._name, prefix=prefix or None, fields=fields, **self.limits()):
            yield _stored(blob)

    def head(self, key: str) -> StoredObject:
        """Ask for what is known of an object."""
        blob = self.bucket.blob(key)
        blob.reload(**self.limits())
        return _stored(blob)

    def read(self, key: str, start: int = 0, version: str | None = None, **options: Any) -> Iterator[bytes]:
        """Stream the content; whole ones are compared with their checksum."""
        blob = self.bucket.blob(key)
        if version is not None:
            options.setdefault("if_generation_match", int(version))
        pipe = _Pipe()

        def download() -> None:
            try:
                blob.download_to_file(pipe, start=start or None, **self.limits(options))
            except _Closed:
                return
            except BaseException as error:  # noqa: BLE001  # the thread's border: the reader raises it
                pipe.end(error)
            else:
                pipe.end(None)

        threading.Thread(target=copy_context().run, args=(download,), name="headrace-gcs-read", daemon=True).start()
        try:
            yield from pipe.pieces()
        finally:
            pipe.close()

    def write(self, key: str, content: BinaryIO, size: int | None, progress: Progress, **options: Any) -> None:
        """Upload with one request up to 8 MiB, in chunks that can be repeated above, and where the size is not known."""
        blob = self.bucket.blob(key, chunk_size=CHUNK_BYTES, encryption_key=options.pop("encryption_key", None))
        guessed, encoding = mimetypes.guess_type(key)
        options = {"content_type": guessed if encoding is None else None, **options}
        blob.upload_from_file(_Counted(content, progress), size=size, **self.limits(options))

    def download(self, key: str, path: Path, progress: Progress, **options: Any) -> bool:
        """Download an object of more than one part by several requests at once."""
        blob = self.bucket.blob(key)
        blob.reload(**self.limits())
        if _stored(blob).size is None or int(blob.size or 0) <= PART_BYTES or options.keys() & {"start", "end"}:
            return False
        download_parts(blob, path, progress, self.limits(options))
        return True

    def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        from google.api_core.exceptions import NotFound

        try:
            self.bucket.blob(key).delete(**self.limits())
        except NotFound as error:
            if _is_of_bucket(error):
                raise

    def copy(self, key: str, to_container: str | None, to_key: str, **options: Any) -> None:
        """Copy within Cloud Storage; nothing passes through here. Large objects between regions take several requests."""
        source = self.bucket.blob(key)
        target = self._client.bucket(to_container or self._name).blob(to_key)
        options = self.limits(options)
        token, _, _ = target.rewrite(source, **options)
        while token is not None:
            token, _, _ = target.rewrite(source, token=token, **options)

    def explain(self, error: Exception, key: str) -> Exception | None:
        """Say what an error of the service, of logging in, or of the way there means."""
        from google.api_core import exceptions as api
        from google.auth import exceptions as auth

        if isinstance(error, api.NotFound):
            return self._not_found(error, key)
        if isinstance(error, api.Forbidden):
            return ObjectStoreError(
                f"{self._account} may not do this in {self.place} ({error.message}). Give it a role such as roles/storage.objectUser on the "
                "bucket, and see that the bucket's name is right."
            )
        if isinstance(error, api.Unauthorized):
            return ObjectStoreError(f"Google Cloud does not take these credentials ({error.message}). Check the GcpCredentials block.")
        if isinstance(error, auth.RefreshError):
            return ObjectStoreError(no_token(error))
        if isinstance(error, api.RetryError):
            return ObjectStoreError(f"{self.place} did not answer in time ({error.message}). Try again later, or check the network.")
        return None

    def is_passing(self, error: Exception) -> bool:
        """Say so for lost connections, too many requests and failures of the service."""
        from google.api_core import exceptions as api

        return isinstance(error, api.ServerError | api.TooManyRequests) or super().is_passing(error)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def limits(self, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return options of a call with those that end it: how long each request may take, and how long they may be tried again.

        All that is done here may be done twice.
        """
        from google.cloud.storage.retry import DEFAULT_RETRY

        return {"timeout": self._seconds, "retry": DEFAULT_RETRY.with_timeout(RETRIED_TIMES * self._seconds), **(options or {})}

    def _not_found(self, error: Any, key: str) -> Exception:
        missing = ObjectNotFound(f"There is no object {key!r} in {self.place}. Check the path.")
        no_bucket = ObjectStoreError(f"There is no bucket {self.place}, or it is not to be seen by {self._account}. Check its name, or create it.")
        if _is_of_bucket(error):
            return no_bucket
        if "No such object" in str(error.message):
            return missing
        with suppress(Exception):  # nobody may be allowed to ask for the bucket; then the object it is
            if not self.bucket.exists(**self.limits()):
                return no_bucket
        return missing


def _stored(blob: Blob) -> StoredObject:
    is_packed = blob.content_encoding == "gzip"  # it is unpacked on the way, so its size is not that of the content
    version = str(blob.generation) if blob.generation is not None else None
    return StoredObject(str(blob.name), None if is_packed else blob.size, None if is_packed else version)


def _is_of_bucket(error: Any) -> bool:
    return "specified bucket" in str(error.message)


class _Closed(Exception):
    """Nobody reads any more."""


class _Pipe:
    """What the SDK writes in one thread is read in another, a few pieces behind."""

    def __init__(self) -> None:
        self._queue: Queue[bytes | BaseException | None] = Queue(PIECES_WAITING_MAX)
        self._is_closed = threading.Event()
        self._position = 0
        self._again = 0
        self._gathered = bytearray()

    def write(self, data: bytes) -> int:
        known = min(self._again, len(data))  # came before the stream began anew
        self._again -= known
        self._gathered += data[known:]  # the SDK writes 8 KiB at a time
        while len(self._gathered) >= PIECE_BYTES:
            self._put(bytes(self._gathered[:PIECE_BYTES]))
            del self._gathered[:PIECE_BYTES]
        self._position += len(data) - known
        return len(data)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        """Begin anew, as the SDK does with content that is unpacked on the way: that cannot be taken up in the middle."""
        self._again = self._position - position
        return position

    def flush(self) -> None:
        return

    def end(self, error: BaseException | None) -> None:
        with suppress(_Closed):
            if self._gathered:
                self._put(bytes(self._gathered))
            self._put(error)

    def close(self) -> None:
        self._is_closed.set()

    def pieces(self) -> Iterator[bytes]:
        while True:
            found = self._queue.get()
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found

    def _put(self, item: bytes | BaseException | None) -> None:
        while not self._is_closed.is_set():
            with suppress(Full):
                self._queue.put(item, timeout=STOP_CHECK_SECONDS)
                return
        raise _Closed


class _Counted:
    """An open file whose bytes are counted as they are sent. It may not be able to go back."""

    def __init__(self, content: BinaryIO, progress: Progress) -> None:
        self._content = content
        self._progress = progress
        self._start = content.tell() if _can_seek(content) else None
        self._position = self._told = 0

    def read(self, size: int = -1) -> bytes:
        data = self._content.read(size)
        self._position += len(data)
        self._progress(max(self._position - self._told, 0))  # what is sent again is not told again
        self._told = max(self._position, self._told)
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        if self._start is None or whence != 0:
            raise OSError("What is uploaded cannot be read a second time, and Cloud Storage has lost a part of it. Upload it again.")
        self._content.seek(self._start + position)
        self._position = position
        return position


def _can_seek(content: BinaryIO) -> bool:
    try:
        return content.seekable()
    except AttributeError:
        return False
