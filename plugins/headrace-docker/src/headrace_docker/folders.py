"""Copying folders of this machine into containers."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker.models.containers import Container


def copy_folder(folder: Path, container: Container, path: str) -> None:
    """Copy a folder into a container, which need not be started, as `path`. Who runs there may read it.

    Raises the SDK's `APIError`, as for a container whose file system is read-only.
    """

    def readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.isdir() else 0o644
        return entry

    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(folder, arcname=path.lstrip("/"), filter=readable)
        packed.seek(0)
        container.put_archive("/", packed)
