"""How code is named from outside."""

from __future__ import annotations

from enum import StrEnum


class EntrypointType(StrEnum):
    """What an entrypoint names: `path/to/file.py:function`, or `package.module.function`."""

    FILE_PATH = "file_path"
    MODULE_PATH = "module_path"
