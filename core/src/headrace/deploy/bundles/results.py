"""Where the results of submitted flows are kept: in the pool's storage, beside their bundles, where those who submit and those who run see them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.client.connect import current_client
from headrace.model.endpoints.blocks import READ_BLOCK_DOCUMENT
from headrace.model.errors import ObjectNotFound
from headrace.objects.blocks import Block
from headrace.objects.blocks.known import class_of

if TYPE_CHECKING:
    from headrace.model.work_pools import WorkPool

FOLDER = "results"
"""The folder of the storage that results are in."""
STORAGE_BLOCK = "HEADRACE_RESULTS_DEFAULT_STORAGE_BLOCK"


@dataclass(frozen=True, slots=True)
class Kind:
    """A block for results by its slug, and what its fields are called: the place, the folder in it, the credentials."""

    slug: str
    place: str
    folder: str
    credentials: str


KINDS = {
    "s3": Kind("s3-bucket", "bucket_name", "bucket_folder", "credentials"),
    "gcs": Kind("gcs-bucket", "bucket", "bucket_folder", "gcp_credentials"),
    "azure-blob-storage": Kind("azure-blob-storage-container", "container_name", "base_folder", "credentials"),
}


async def save_local_storage(pool: WorkPool, folder: str) -> UUID:
    """Save a block for results in a folder; return its id."""
    from headrace.filesystems import LocalFileSystem

    return await LocalFileSystem(basepath=f"{folder}/{FOLDER}").asave(_name(pool), overwrite=True)


async def save_storage(pool: WorkPool, kind: str, place: str, credentials: str | None) -> UUID:
    """Save a block for results in a bucket or container; return its id. `credentials`: "block-type/name" of the block to log in with.

    Raises `PluginError` or `UnknownBlockType` where the plugin that brings the block is not installed, and `ValueError` where the credentials are not
    saved.
    """
    fields = KINDS[kind]
    block_class = class_of(fields.slug)
    values: dict[str, Any] = {fields.place: place, fields.folder: FOLDER}
    if credentials is not None:
        class_of(credentials.partition("/")[0])
        values[fields.credentials] = await Block.aload(credentials)
    return await block_class(**values).asave(_name(pool), overwrite=True)


async def environment_for_results(pool: WorkPool) -> dict[str, str]:
    """Return the variables by which a run keeps its results in the pool's storage, where it has one for results."""
    id = pool.storage_configuration.default_result_storage_block_id
    if id is None:
        return {}
    try:
        document = await current_client().call(READ_BLOCK_DOCUMENT, id=id)
    except ObjectNotFound:
        raise RuntimeError(
            f"The block that keeps the results of work pool {pool.name!r} was deleted. "
            f"Choose storage again: headrace work-pool storage configure ... {pool.name!r}"
        ) from None
    slug = document.block_type.slug if document.block_type is not None else ""
    return {STORAGE_BLOCK: f"{slug}/{document.name}"}


def _name(pool: WorkPool) -> str:
    """Return the name of a pool's block: that of the pool, made unique where a block cannot have it."""
    slug = re.sub("[^a-z0-9]+", "-", pool.name.lower()).strip("-")
    return f"{slug}-results" if slug == pool.name else f"{slug}-{pool.id.hex[-8:]}-results".lstrip("-")
