"""Shares of the SMB protocol, by way of fsspec's `smb` file system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, SecretStr

from headrace.client.bridge import blocking
from headrace.objects.filesystems.interfaces import WritableDeploymentStorage, WritableFileSystem
from headrace.objects.filesystems.remote import RemoteFileSystem


class SMB(WritableFileSystem, WritableDeploymentStorage):
    """Store data as a file on a SMB share. Needs the package `smbprotocol`.

    `share_path` is the share's name and a directory in it, as `/share/folder`; `smb_host` the machine that has it. Everything else
    is as with `RemoteFileSystem`.

    Example:
        ```python
        from headrace.filesystems import SMB

        share = SMB.load("BLOCK_NAME")
        share.read_path("report.txt")
        ```
    """

    _block_type_name: ClassVar[str | None] = "SMB"
    _block_type_slug: ClassVar[str | None] = "smb"

    share_path: str = Field(description="SMB target (requires <SHARE>, followed by <PATH>).", examples=["/SHARE/dir/subdir"])
    smb_username: SecretStr | None = Field(default=None, title="SMB Username", description="Username with access to the target SMB SHARE.")
    smb_password: SecretStr | None = Field(default=None, title="SMB Password", description="Password for SMB access.")
    smb_host: str = Field(title="SMB server/hostname", description="SMB server/hostname.")
    smb_port: int | None = Field(default=None, title="SMB port", description="SMB port (default: 445).")

    @property
    def basepath(self) -> str:
        """The whole address of the share."""
        port = f":{self.smb_port}" if self.smb_port is not None else ""
        return f"smb://{self.smb_host}{port}/{self.share_path.strip('/')}"

    @property
    def filesystem(self) -> RemoteFileSystem:
        """The remote file system that does the work."""
        settings: dict[str, Any] = {"host": self.smb_host}
        if self.smb_username is not None:
            settings["username"] = self.smb_username.get_secret_value()
        if self.smb_password is not None:
            settings["password"] = self.smb_password.get_secret_value()
        if self.smb_port is not None:
            settings["port"] = self.smb_port
        return RemoteFileSystem(basepath=self.basepath, settings=settings)

    async def aread_path(self, path: str) -> bytes:
        """Return the content of the file at `path`."""
        return await self.filesystem.aread_path(path)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write a file, making directories as needed, and return its whole path."""
        return await self.filesystem.awrite_path(path, content)

    async def aexists(self, path: str) -> bool:
        """Say whether a file is at `path`."""
        return await self.filesystem.aexists(path)

    async def adelete_path(self, path: str) -> None:
        """Delete the file at `path`; nothing happens when there is none."""
        await self.filesystem.adelete_path(path)

    async def alist_paths(self, path: str = "") -> list[str]:
        """Return the paths of all files below the directory `path`, sorted and relative to the share path."""
        return await self.filesystem.alist_paths(path)

    async def aget_directory(self, from_path: str | None = None, local_path: str | None = None) -> None:
        """Download the directory `from_path` (default: the share path) into `local_path` (default: the working directory)."""
        await self.filesystem.aget_directory(from_path, local_path)

    async def aput_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> int:
        """Upload the directory `local_path` (default: the working directory) to `to_path`; return how many files."""
        return await self.filesystem.aput_directory(local_path, to_path, ignore_file)

    if TYPE_CHECKING:

        def read_path(self, path: str) -> bytes: ...
        def write_path(self, path: str, content: bytes) -> str: ...
        def exists(self, path: str) -> bool: ...
        def delete_path(self, path: str) -> None: ...
        def list_paths(self, path: str = "") -> list[str]: ...
        def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> None: ...
        def put_directory(self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None) -> int: ...
    else:
        read_path = blocking(aread_path)
        write_path = blocking(awrite_path)
        exists = blocking(aexists)
        delete_path = blocking(adelete_path)
        list_paths = blocking(alist_paths)
        get_directory = blocking(aget_directory)
        put_directory = blocking(aput_directory)
