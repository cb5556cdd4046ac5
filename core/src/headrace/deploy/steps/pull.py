"""Steps that bring a flow's code to where it runs, other than by git."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headrace.client.bridge import blocking
from headrace.data.importing import from_qualified_name
from headrace.model.errors import HeadraceException
from headrace.objects.offload import call_either, offload


class NothingPulled(RuntimeError, HeadraceException):
    """There is no code where it was looked for."""


def set_working_directory(directory: str) -> dict[str, str]:
    """Change the working directory of this process and return it as `directory`. Raises `FileNotFoundError` when there is none."""
    try:
        os.chdir(directory)
    except OSError as error:
        raise FileNotFoundError(f"The working directory {directory!r} cannot be entered from {os.getcwd()!r}: {error.strerror}.") from error
    return {"directory": os.getcwd()}


async def apull_from_remote_storage(url: str, **settings: Any) -> dict[str, Any]:
    """Copy the folder at an address that fsspec knows into one of the working directory, and return that as `directory`.

    `settings` go to fsspec's class for the address. The folder is called after the address. Raises `ValueError` for an address without a
    scheme, `ImportError` when the package for it is missing, and `RuntimeError` when nothing is there.
    """
    parts = urlsplit(url)
    if not parts.scheme:
        raise ValueError(f"{url!r} has no scheme. Write the whole address, as s3://bucket/folder.")
    name = "-".join(part for part in (parts.netloc, *parts.path.strip("/").split("/")) if part) or parts.scheme
    target = Path.cwd() / name
    await offload(copy_folder, url, settings, target)
    return {"directory": str(target)}


def copy_folder(url: str, settings: dict[str, Any], target: Path) -> None:
    """Copy the folder at `url` to `target`. Raises `ImportError` when the package for it is missing, `RuntimeError` when nothing is there."""
    found: tuple[Any, str] = from_qualified_name("fsspec.core.url_to_fs")(url, **settings)  # the package has no types
    system, source = found[0], found[1].rstrip("/")
    if not system.isdir(source):
        raise NothingPulled(f"There is no folder at {url}. Push the code there first, or correct the address.")
    target.mkdir(parents=True, exist_ok=True)
    system.get(f"{source}/", f"{target}/", recursive=True)


async def apull_with_block(block_document_name: str, block_type_slug: str) -> dict[str, Any]:
    """Have a stored block bring the code into a folder of the working directory, and return that as `directory`.

    The block is one that code can be kept in: it has `get_directory`. Raises `ValueError` when it does not exist or cannot do that.
    """
    from headrace.objects.blocks.block import Block

    full_name = f"{block_type_slug}/{block_document_name}"
    block: Any = await Block.aload(full_name)
    target = Path.cwd() / full_name.replace("/", "-")
    if hasattr(block, "pull_code"):
        if hasattr(block, "set_base_path"):
            block.set_base_path(target.parent)
        await call_either(block.pull_code)
        return {"directory": str(getattr(block, "destination", target))}
    if not hasattr(block, "get_directory"):
        raise ValueError(f"The block {full_name} cannot bring code: it has no get_directory. Use a block of a file system or of a repository.")
    target.mkdir(exist_ok=True)
    if hasattr(block, "aget_directory"):
        await block.aget_directory(local_path=str(target))
    else:
        await call_either(partial(block.get_directory, local_path=str(target)))
    return {"directory": str(target)}


pull_from_remote_storage = blocking(apull_from_remote_storage)
pull_with_block = blocking(apull_with_block)
