"""`ObjectStoreBlock`: what every bucket offers, documented once. Plugins give a driver, the fields, and what only their store has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self, cast

from headrace.client.bridge import blocking
from headrace.objects.abstract import ObjectStorageBlock
from headrace.objects.offload import offload
from headrace.objects.stores.drivers import StoredObject
from headrace.objects.stores.files import StoreFiles
from headrace.objects.stores.transfers import StreamReader, Transfer, content_of, download, upload


class ObjectStoreBlock(StoreFiles, ObjectStorageBlock, ABC):
    """A bucket or container, or a folder of one.

    A subclass has the fields and gives `open_driver`, `basepath` and `container`:

        class Pail(ObjectStoreBlock):
            pail_name: str
            pail_folder: str = ""

            @property
            def basepath(self) -> str:
                return self.pail_folder

            @property
            def container(self) -> str:
                return self.pail_name

            def open_driver(self) -> ObjectStoreDriver:
                return PailDriver(self.pail_name)
    """

    _is_interface: ClassVar[bool] = True

    @property
    @abstractmethod
    def basepath(self) -> str:
        """The folder that paths are relative to; empty for the whole bucket."""

    @property
    @abstractmethod
    def container(self) -> str:
        """The name of the bucket or container."""

    @property
    def base_key(self) -> str:
        """See `StoreFiles.base_key`."""
        return self.basepath

    async def adownload_object_to_path(self, from_path: str, to_path: str | Path | None = None, **download_kwargs: Any) -> Path:
        """Download an object into a file, `to_path` or one of its name in the working directory, and return the file's absolute path.

        The file is there as a whole or not at all. A download of 8 MiB or more that breaks off leaves a part beside it, and the next download
        of the same version goes on from there. `download_kwargs` go to the SDK. Raises `ObjectNotFound`.
        """
        return await self._transferred(self._download_to_path, from_path, to_path, download_kwargs)

    async def adownload_object_to_file_object(self, from_path: str, to_file_object: BinaryIO, **download_kwargs: Any) -> BinaryIO:
        """Download an object into an open file, or a BytesIO, and return that. Raises `ObjectNotFound`."""
        return await self._transferred(self._download_to_file, from_path, to_file_object, download_kwargs)

    async def adownload_folder_to_path(self, from_folder: str, to_folder: str | Path | None = None, **download_kwargs: Any) -> Path:
        """Download a folder into `to_folder` (default: the working directory) and return that, absolute. See `get_directory`."""
        await self._transferred(self._get, from_folder, to_folder, download_kwargs)
        return Path(to_folder or ".").expanduser().resolve()

    async def aupload_from_path(self, from_path: str | Path, to_path: str | None = None, **upload_kwargs: Any) -> str:
        """Upload a file to `to_path`, or under its own name, and return the whole key. `upload_kwargs` go to the SDK."""
        return await self._transferred(self._upload_path, from_path, to_path, upload_kwargs)

    async def aupload_from_file_object(self, from_file_object: BinaryIO, to_path: str, **upload_kwargs: Any) -> str:
        """Upload what an open file holds from where it stands, and return the whole key. The file need not be seekable."""
        return await self._transferred(self._upload_file, from_file_object, to_path, upload_kwargs)

    async def aupload_from_folder(self, from_folder: str | Path, to_folder: str | None = None, **upload_kwargs: Any) -> str | None:
        """Upload a directory to `to_folder` (default: the base) and return that folder's key; None, with a warning, when it holds no file."""
        sent = await self._transferred(self._put, from_folder, to_folder, None, upload_kwargs)
        if not sent:
            self.logger.warning("Nothing was uploaded: there is no file in %r.", str(from_folder))
            return None
        return self.prefix_of(to_folder).rstrip("/")

    async def astream_from(self, bucket: ObjectStoreBlock, from_path: str, to_path: str | None = None, **upload_kwargs: Any) -> str:
        """Copy an object of another bucket, of any kind, through this process without storing it; return the whole key here."""
        return await self._transferred(self._stream_from, bucket, from_path, to_path, upload_kwargs)

    async def acopy_object(self, from_path: str | Path, to_path: str | Path, to_bucket: Self | str | None = None, **copy_kwargs: Any) -> str:
        """Copy an object within the store and return the new one's whole key.

        `to_bucket`: another bucket, as a block (`to_path` is relative to its folder) or by its name (`to_path` is the whole key).
        """
        return await offload(self._copy, from_path, to_path, to_bucket, copy_kwargs)

    async def amove_object(self, from_path: str | Path, to_path: str | Path, to_bucket: Self | str | None = None) -> str:
        """Copy an object as `copy_object` does, then delete the first one; return the new one's whole key.

        When it cannot be deleted there are two, and the error is raised.
        """
        return await offload(self._move, from_path, to_path, to_bucket)

    if TYPE_CHECKING:

        def download_object_to_path(self, from_path: str, to_path: str | Path | None = None, **download_kwargs: Any) -> Path: ...
        def download_object_to_file_object(self, from_path: str, to_file_object: BinaryIO, **download_kwargs: Any) -> BinaryIO: ...
        def download_folder_to_path(self, from_folder: str, to_folder: str | Path | None = None, **download_kwargs: Any) -> Path: ...
        def upload_from_path(self, from_path: str | Path, to_path: str | None = None, **upload_kwargs: Any) -> str: ...
        def upload_from_file_object(self, from_file_object: BinaryIO, to_path: str, **upload_kwargs: Any) -> str: ...
        def upload_from_folder(self, from_folder: str | Path, to_folder: str | None = None, **upload_kwargs: Any) -> str | None: ...
        def stream_from(self, bucket: ObjectStoreBlock, from_path: str, to_path: str | None = None, **upload_kwargs: Any) -> str: ...
        def copy_object(self, from_path: str | Path, to_path: str | Path, to_bucket: Self | str | None = None, **copy_kwargs: Any) -> str: ...
        def move_object(self, from_path: str | Path, to_path: str | Path, to_bucket: Self | str | None = None) -> str: ...
    else:
        download_object_to_path = blocking(adownload_object_to_path)
        download_object_to_file_object = blocking(adownload_object_to_file_object)
        download_folder_to_path = blocking(adownload_folder_to_path)
        upload_from_path = blocking(aupload_from_path)
        upload_from_file_object = blocking(aupload_from_file_object)
        upload_from_folder = blocking(aupload_from_folder)
        stream_from = blocking(astream_from)
        copy_object = blocking(acopy_object)
        move_object = blocking(amove_object)

    def list_stored(self, folder: str | None = None) -> list[StoredObject]:
        """Return the objects in a folder (default: the base) with sizes and versions, blocking. Keys are whole."""
        return list(self._below(self.prefix_of(folder)))

    def _head(self, path: str | Path) -> StoredObject:
        return self._ask(self.driver.head, self.key_of(path))

    def _download_to_path(self, transfer: Transfer, from_path: str, to_path: str | Path | None, options: dict[str, Any]) -> Path:
        found = self._head(from_path)
        transfer.what = f"Download of {self._described(found.key)}"
        transfer.expect(1, found.size)
        target = Path(to_path or found.key.rpartition("/")[2]).expanduser().absolute()
        return download(self.driver, found, target, transfer, options)

    def _download_to_file(self, transfer: Transfer, from_path: str, file: BinaryIO, options: dict[str, Any]) -> BinaryIO:
        found = self._head(from_path)
        transfer.what = f"Download of {self._described(found.key)}"
        transfer.expect(1, found.size)
        for piece in content_of(self.driver, found, 0, transfer, options):
            file.write(piece)
        return file

    def _upload_path(self, transfer: Transfer, from_path: str | Path, to_path: str | None, options: dict[str, Any]) -> str:
        file = Path(from_path).expanduser()
        key = self.key_of(to_path if to_path is not None else file.name)
        transfer.what = f"Upload to {self._described(key)}"
        transfer.expect(1, file.stat().st_size)
        self._send(transfer, file, key, options)
        return key

    def _upload_file(self, transfer: Transfer, file: BinaryIO, to_path: str, options: dict[str, Any]) -> str:
        key = self.key_of(to_path)
        transfer.what = f"Upload to {self._described(key)}"
        transfer.expect(1, size := _size_left(file))
        upload(self.driver, key, file, size, transfer, options)
        return key

    def _stream_from(self, transfer: Transfer, bucket: ObjectStoreBlock, from_path: str, to_path: str | None, options: dict[str, Any]) -> str:
        found = bucket._head(from_path)
        key = self.key_of(to_path if to_path is not None else found.key.rpartition("/")[2])
        transfer.what = f"Copy of {bucket._described(found.key)} to {self._described(key)}"
        transfer.expect(1, found.size)
        reading = Transfer(transfer.what, self.logger)  # bytes are counted as they arrive here
        pieces = content_of(bucket.driver, found, 0, reading, {})
        upload(self.driver, key, cast("BinaryIO", BufferedReader(StreamReader(pieces))), found.size, transfer, options)
        return key

    def _copy(self, from_path: str | Path, to_path: str | Path, to_bucket: Self | str | None, options: dict[str, Any]) -> str:
        container, key = self._target(to_path, to_bucket)
        self._ask(self.driver.copy, self.key_of(from_path), container if container != self.container else None, key, **options)
        return key

    def _move(self, from_path: str | Path, to_path: str | Path, to_bucket: Self | str | None) -> str:
        source, (container, key) = self.key_of(from_path), self._target(to_path, to_bucket)
        if (container, key) == (self.container, source):
            self._head(from_path)  # some stores refuse to copy an object onto itself
            return key
        self._copy(from_path, to_path, to_bucket, {})
        self._ask(self.driver.delete, source)
        return key

    def _target(self, to_path: str | Path, to_bucket: Self | str | None) -> tuple[str, str]:
        if isinstance(to_bucket, str):
            return to_bucket, self.key_of(f"/{str(to_path).lstrip('/')}")
        target = to_bucket if to_bucket is not None else self
        return target.container, target.key_of(to_path)


def _size_left(file: BinaryIO) -> int | None:
    """Return how many bytes an open file holds from where it stands, or None where that cannot be known."""
    try:
        if not file.seekable():
            return None
        here = file.tell()
        end = file.seek(0, 2)
        file.seek(here)
    except (AttributeError, OSError, ValueError):
        return None
    return end - here
