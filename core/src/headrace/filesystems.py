"""File system blocks."""

from headrace.objects.filesystems import (
    SMB,
    LocalFileSystem,
    NullFileSystem,
    ReadableDeploymentStorage,
    ReadableFileSystem,
    RemoteFileSystem,
    WritableDeploymentStorage,
    WritableFileSystem,
)

__all__ = [
    "SMB",
    "LocalFileSystem",
    "NullFileSystem",
    "ReadableDeploymentStorage",
    "ReadableFileSystem",
    "RemoteFileSystem",
    "WritableDeploymentStorage",
    "WritableFileSystem",
]
