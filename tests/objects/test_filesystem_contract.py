"""File system blocks, held to their contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.filesystems import LocalFileSystem, RemoteFileSystem
from headrace.model import ids
from headrace.testing import FilesystemContract


class TestLocal(FilesystemContract):
    @pytest.fixture
    def files(self, tmp_path: Path) -> Any:
        (tmp_path / "base").mkdir()
        return LocalFileSystem(basepath=str(tmp_path / "base"))


class TestRemote(FilesystemContract):
    @pytest.fixture
    def files(self) -> Any:
        return RemoteFileSystem(basepath=f"memory://{ids.random_hex(8)}/base")
