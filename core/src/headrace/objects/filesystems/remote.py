"""Files elsewhere, reached through fsspec (https://filesystem-spec.readthedocs.io)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from headrace.client.bridge import blocking
from headrace.objects.filesystems.interfaces import PathNotFound, WritableDeploymentStorage, WritableFileSystem
from headrace.objects.ignore import read_rules
from headrace.objects.offload import offload

_LOCAL_SCHEMES = ("file", "local")


class RemoteFileSystem(WritableFileSystem, WritableDeploymentStorage):
    """Store data as a file on a remote file system.

    Any file system that fsspec knows can be used. `basepath` says which, by its scheme, and where: `s3://my-bucket/my-folder/`.
    `settings` go to fsspec's class for the scheme. Paths are relative to the base, or whole ones below it.

    Example:
        ```python
        from headrace.filesystems import RemoteFileSystem

        files = RemoteFileSystem(basepath="s3://my-bucket/results", settings={"key": "...", "secret": "..."})
        files.save("results")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Remote File System"
    _block_type_slug: ClassVar[str | None] = "remote-file-system"

    basepath: str = Field(description="Default path for this block to write to.", examples=["s3://my-bucket/my-folder/"])
    settings: dict[str, Any] = Field(default_factory=dict, description="Additional settings to pass through to fsspec.", repr=False)

    @field_validator("basepath")
    @classmethod
    def check_basepath(cls, value: str) -> str:
        """Demand a scheme that is not this machine's own file system."""
        scheme, _, _ = value.partition("://")
        if not scheme or "://" not in value:
            raise ValueError(f"Base path must start with a scheme, as in 's3://bucket/folder'; got {value!r}.")
        if scheme in _LOCAL_SCHEMES:
            raise ValueError("Base path scheme is for local files. Use `LocalFileSystem` instead.")
        return value

    @property
    def filesystem(self) -> Any:
        """The `fsspec.AbstractFileSystem`. Raises ImportError when the package for its scheme is missing; the message names it."""
        import fsspec  # pyright: ignore[reportMissingTypeStubs]  # it has none

        return cast("Any", fsspec).filesystem(urlsplit(self.basepath).scheme, **self.settings)

    async def aread_path(self, path: str) -> bytes:
        """Return the content of the file at `path`. Raises ValueError when there is none or `path` is not below the base."""
        return await offload(self._read, path)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write a file, making directories as needed, and return its whole path. Raises ValueError when `path` is not below the base."""
        return await offload(self._write, path, content)

    async def aexists(self, path: str) -> bool:
        """Say whether a file is at `path`."""
        return await offload(lambda: cast("bool", self.filesystem.isfile(self._resolve(path))))

    async def adelete_path(self, path: str) -> None:
        """Delete the file at `path`; nothing happens when there is none."""
        await offload(self._delete, path)

    async def alist_paths(self, path: str = "") -> list[str]:
        """Return the paths of all files below the directory `path`, sorted and relative to the base."""
        return await offload(self._list, path)

    async def aget_directory(self, from_path: str | None = None, local_path: str | None = None) -> None:
        """Download the directory `from_path` (default: the base) into `local_path` (default: the working directory)."""
        await offload(self._get, from_path, local_path)

    async def aput_directory(
        self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None, overwrite: bool = True
    ) -> int:
        """Upload the directory `local_path` (default: the working directory) to `to_path` (default: the base); return how many files.

        Files that match a pattern in `ignore_file` are left out; with `overwrite=False` also those that are there already.
        """
        return await offload(self._put, local_path, to_path, ignore_file, overwrite)

    if TYPE_CHECKING:

        def read_path(self, path: str) -> bytes: ...
        def write_path(self, path: str, content: bytes) -> str: ...
        def exists(self, path: str) -> bool: ...
        def delete_path(self, path: str) -> None: ...
        def list_paths(self, path: str = "") -> list[str]: ...
        def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> None: ...
        def put_directory(
            self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None, overwrite: bool = True
        ) -> int: ...
    else:
        read_path = blocking(aread_path)
        write_path = blocking(awrite_path)
        exists = blocking(aexists)
        delete_path = blocking(adelete_path)
        list_paths = blocking(alist_paths)
        get_directory = blocking(aget_directory)
        put_directory = blocking(aput_directory)

    def _resolve(self, path: str | None) -> str:
        base = self.basepath.rstrip("/")
        if not path:
            return base
        scheme = urlsplit(self.basepath).scheme
        if path.startswith(f"{scheme}://"):
            whole = path
        elif "://" in path:
            raise ValueError(f"The path {path!r} has another scheme than the file system's base {self.basepath!r}.")
        else:
            whole = f"{base}/{path.strip('/')}"
        if ".." in whole.split("/") or not (whole + "/").startswith(base + "/"):
            raise ValueError(f"The path {path!r} leads out of the file system's base {self.basepath!r}. Give a path below it.")
        return whole

    def _read(self, path: str) -> bytes:
        whole = self._resolve(path)
        try:
            with self.filesystem.open(whole, "rb") as file:
                return cast("bytes", file.read())
        except (FileNotFoundError, IsADirectoryError) as error:
            raise PathNotFound(f"No file is at {whole!r}.") from error

    def _write(self, path: str, content: bytes) -> str:
        whole = self._resolve(path)
        if not path.strip("/.") or whole.rstrip("/") == self._resolve(None):
            raise ValueError(f"The path {path!r} names the file system's base itself. Give the path of a file below it.")
        filesystem = self.filesystem
        filesystem.makedirs(whole.rpartition("/")[0], exist_ok=True)
        with filesystem.open(whole, "wb") as file:
            file.write(content)
        return whole

    def _delete(self, path: str) -> None:
        whole = self._resolve(path)
        try:
            self.filesystem.rm_file(whole)
        except FileNotFoundError:
            return

    def _list(self, path: str) -> list[str]:
        filesystem = self.filesystem
        base = self._stripped(filesystem, self._resolve(None))
        found = cast("list[str]", filesystem.find(self._resolve(path)))
        return sorted(file[len(base) :].lstrip("/") for file in found)

    @staticmethod
    def _stripped(filesystem: Any, whole: str) -> str:
        return cast("str", filesystem._strip_protocol(whole)).rstrip("/")

    def _get(self, from_path: str | None, local_path: str | None) -> None:
        filesystem = self.filesystem
        source = self._stripped(filesystem, self._resolve(from_path))
        target = Path(local_path or ".").expanduser().resolve()
        for file in cast("list[str]", filesystem.find(source)):
            destination = (target / file[len(source) :].lstrip("/")).resolve()
            if not destination.is_relative_to(target):
                raise ValueError(f"The remote file {file!r} would be written outside of {str(target)!r}.")
            destination.parent.mkdir(parents=True, exist_ok=True)
            filesystem.get_file(file, str(destination))

    def _put(self, local_path: str | None, to_path: str | None, ignore_file: str | None, overwrite: bool) -> int:
        source = Path(local_path or ".").expanduser().resolve()
        target = self._resolve(to_path)
        filesystem = self.filesystem
        count = 0
        for relative in read_rules(ignore_file).files_in(source):
            destination = f"{target}/{relative.as_posix()}"
            if overwrite or not filesystem.exists(destination):
                filesystem.makedirs(destination.rpartition("/")[0], exist_ok=True)
                filesystem.put_file(str(source / relative), destination)
                count += 1
        return count
