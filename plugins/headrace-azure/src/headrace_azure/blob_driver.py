"""One container of Blob Storage, as the object store base of headrace asks for it."""

from __future__ import annotations

import mimetypes
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from headrace.blocks.object_stores import ObjectNotFound, ObjectStoreDriver, ObjectStoreError, Progress, StoredObject
from headrace_azure.errors import Sort, code_of, meaning_of, text_of

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

PARALLEL = 4
"""Requests at once for one large blob."""
COPY_POLL_SECONDS = 1.0
COPY_SECONDS_MAX = 3600.0
"""How long Azure may take to copy one blob."""

_NO_CONTAINER = ("ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled")
_NO_BLOB = ("BlobNotFound", "ResourceNotFound")


class BlobDriver(ObjectStoreDriver):
    """Talks to one container. The client may be shared."""

    def __init__(self, client: ContainerClient) -> None:
        self._client = client
        self._is_there = False
        """Whether the container is known to exist: then a missing blob is no missing container."""

    @property
    def place(self) -> str:
        """See `ObjectStoreDriver.place`: the container's address."""
        return self._client.url.partition("?")[0]  # behind it may be a SAS

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See `ObjectStoreDriver.list`."""
        for one in self._client.list_blobs(name_starts_with=prefix or None, include=["metadata"]):
            self._is_there = True
            yield _stored(one)

    def head(self, key: str) -> StoredObject:
        """See `ObjectStoreDriver.head`."""
        found = self._blob(key).get_blob_properties()
        self._is_there = True
        return _stored(found)

    def read(self, key: str, start: int = 0, version: str | None = None, **options: Any) -> Iterator[bytes]:
        """See `ObjectStoreDriver.read`. `options` are those of the SDK's `download_blob`."""
        if start:
            options["offset"] = start
        if version is not None:
            options.update(_only(version))
        yield from self._blob(key).download_blob(**options).chunks()

    def write(self, key: str, content: BinaryIO, size: int | None, progress: Progress, **options: Any) -> None:
        """See `ObjectStoreDriver.write`. `options` are those of the SDK's `upload_blob`; `overwrite` is True by default."""
        from azure.storage.blob import ContentSettings

        guessed, encoding = mimetypes.guess_type(key)
        if guessed and encoding is None:
            options.setdefault("content_settings", ContentSettings(content_type=guessed))
        options = {"overwrite": True, "max_concurrency": PARALLEL, **options, "progress_hook": _told(progress, options.get("progress_hook"))}
        self._blob(key).upload_blob(content, length=size, **options)

    def delete(self, key: str) -> None:
        """See `ObjectStoreDriver.delete`."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            self._blob(key).delete_blob()
        except ResourceNotFoundError as error:
            if code_of(error) not in _NO_BLOB:
                raise

    def copy(self, key: str, to_container: str | None, to_key: str, **options: Any) -> None:
        """Copy within the account; nothing passes through here. `options` are those of the SDK's `start_copy_from_url`."""
        target = self._client if to_container is None else self._sibling(to_container)
        blob = target.get_blob_client(to_key)
        said = blob.start_copy_from_url(self._blob(key).url, **options)
        status, waited = str(said["copy_status"]), 0.0
        pause = threading.Event()
        while status == "pending":
            if waited >= COPY_SECONDS_MAX:
                with suppress(Exception):  # it may have ended meanwhile; that it takes too long is the error to tell
                    blob.abort_copy(str(said["copy_id"]))
                raise ObjectStoreError(f"Copying {key!r} within {self.place} was given up after {COPY_SECONDS_MAX:g} seconds.")
            pause.wait(COPY_POLL_SECONDS)
            waited += COPY_POLL_SECONDS
            status = str(blob.get_blob_properties().copy.status)
        if status != "success":
            raise ObjectStoreError(f"Azure did not copy {key!r} of {self.place} to {to_key!r}: the copy is {status}. Try again.")

    def download(self, key: str, path: Path, progress: Progress, **options: Any) -> bool:
        """See `ObjectStoreDriver.download`. `options` are those of the SDK's `download_blob`."""
        options = {"max_concurrency": PARALLEL, **options, "progress_hook": _told(progress, options.get("progress_hook"))}
        with path.open("wb") as file:
            self._blob(key).download_blob(**options).readinto(file)
        return True

    def explain(self, error: Exception, key: str) -> Exception | None:
        """See `ObjectStoreDriver.explain`."""
        meaning = meaning_of(error)
        if meaning is None or meaning.sort is Sort.OTHER:
            return ObjectStoreError(self._wrong_name(error)) if code_of(error) in ("InvalidResourceName", "InvalidUri") else None
        code = code_of(error)
        if meaning.sort is Sort.MISSING:
            if code in _NO_CONTAINER or (code not in _NO_BLOB and not self._has_container()):
                return ObjectStoreError(f"There is no container {self.place}. Correct its name or the account, or create it.")
            return ObjectNotFound(f"There is no blob {key!r} in {self.place}. Check the path; it is relative to the block's folder.")
        if meaning.sort is Sort.BUSY or meaning.sort is Sort.FAULTY:
            return None  # the transfer goes on with what else there is, and names this one
        said = text_of(error).rstrip(".")
        advice = meaning.advice
        if meaning.sort is Sort.PERMISSION:
            advice = (
                "Give the identity the role 'Storage Blob Data Contributor' (or Reader) at the account or container; or check what the SAS allows."
            )
        return ObjectStoreError(f"{self.place} cannot be used: {said}. {advice}")

    def is_passing(self, error: Exception) -> bool:
        """See `ObjectStoreDriver.is_passing`."""
        meaning = meaning_of(error)
        if meaning is not None:
            return meaning.sort in (Sort.UNREACHABLE, Sort.LOST, Sort.BUSY, Sort.FAULTY)
        return super().is_passing(error)

    def _blob(self, key: str) -> BlobClient:
        return self._client.get_blob_client(key)

    def _sibling(self, container: str) -> Any:
        return self._client._get_blob_service_client().get_container_client(container)  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]

    def _has_container(self) -> bool:
        """Say whether the container exists, as far as one can know."""
        if not self._is_there:
            try:
                self._is_there = self._client.exists()
            except Exception:  # noqa: BLE001  # perhaps one may not ask; that tells nothing about the container
                return True
        return self._is_there

    def _wrong_name(self, error: Exception) -> str:
        return (
            f"{self.place} cannot be used: {text_of(error).rstrip('.')}. Containers have names of 3 to 63 lower-case letters, digits and single "
            "hyphens."
        )


def _stored(found: Any) -> StoredObject:
    is_folder = str((found.metadata or {}).get("hdi_isfolder", "")).lower() == "true"
    return StoredObject(found.name, found.size, found.etag, is_folder)


def _only(version: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"etag": version, "match_condition": MatchConditions.IfNotModified}


def _told(progress: Progress, also: Any) -> Any:
    """Return what tells of the bytes that have gone over: the SDK says how many there are by now, headrace wants to know how many more."""
    lock = threading.Lock()
    known = 0

    def hook(now: int, total: int | None) -> None:
        nonlocal known
        with lock:
            more, known = now - known, max(now, known)
        if more > 0:
            progress(more)
        if also is not None:
            also(now, total)

    return hook
