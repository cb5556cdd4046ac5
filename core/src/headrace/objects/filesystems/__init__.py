"""File system blocks: places for files, addressed by paths below a base."""

from headrace.objects.filesystems.interfaces import (
    PathNotFound,
    ReadableDeploymentStorage,
    ReadableFileSystem,
    WritableDeploymentStorage,
    WritableFileSystem,
)
from headrace.objects.filesystems.local import LocalFileSystem
from headrace.objects.filesystems.null import NullFileSystem
from headrace.objects.filesystems.remote import RemoteFileSystem
from headrace.objects.filesystems.smb import SMB

__all__ = [
    "SMB",
    "LocalFileSystem",
    "NullFileSystem",
    "PathNotFound",
    "ReadableDeploymentStorage",
    "ReadableFileSystem",
    "RemoteFileSystem",
    "WritableDeploymentStorage",
    "WritableFileSystem",
]
