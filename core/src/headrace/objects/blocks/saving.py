"""Blocks on their way to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from headrace.client.connect import current_client
from headrace.client.interface import Client
from headrace.model.blocks import (
    BlockDocument,
    BlockDocumentCreate,
    BlockDocumentUpdate,
    BlockSchema,
    BlockSchemaCreate,
    BlockType,
    BlockTypeUpdate,
)
from headrace.model.endpoints import blocks as endpoints
from headrace.model.errors import InvalidBlockRegistration, ObjectAlreadyExists, ObjectNotFound
from headrace.objects.blocks import loading, schema

if TYPE_CHECKING:
    from headrace.objects.blocks.block import Block

NO_ID = UUID(int=0)


async def register(block_class: type[Block], client: Client | None = None) -> BlockSchema:
    """Store type and schema of a class, those of nested blocks first, and return the stored schema."""
    if not schema.is_saveable(block_class):
        raise InvalidBlockRegistration(f"{block_class.__name__} is an interface, not a block type: register a subclass that fills it in.")
    client = client or current_client()
    for nested in schema.nested_block_classes(block_class):
        if nested is not block_class:
            await register(nested, client)
    registration = block_class.get_block_registration()
    block_type = await _register_type(block_class, client)
    try:
        found = await client.call(endpoints.READ_BLOCK_SCHEMA_BY_CHECKSUM, checksum=schema.checksum(block_class), version=registration.version)
        if found.block_type_id == block_type.id:
            return found
    except ObjectNotFound:
        pass  # this version of the schema is new here
    body = BlockSchemaCreate(
        fields=registration.fields,
        block_type_id=block_type.id,
        capabilities=registration.capabilities,
        version=registration.version,
    )
    return await client.call(endpoints.CREATE_BLOCK_SCHEMA, body)


async def _register_type(block_class: type[Block], client: Client) -> BlockType:
    wanted = block_class.get_block_registration().type
    try:
        found = await client.call(endpoints.READ_BLOCK_TYPE_BY_SLUG, slug=wanted.slug)
    except ObjectNotFound:
        try:
            return await client.call(endpoints.CREATE_BLOCK_TYPE, wanted)
        except ObjectAlreadyExists:  # somebody was faster
            return await client.call(endpoints.READ_BLOCK_TYPE_BY_SLUG, slug=wanted.slug)
    changes = wanted.model_dump(include=set(BlockTypeUpdate.model_fields))
    if any(getattr(found, name) != value for name, value in changes.items()):
        await client.call(endpoints.UPDATE_BLOCK_TYPE, BlockTypeUpdate(**changes), id=found.id)
    return found


async def save(block: Block, name: str | None, overwrite: bool, client: Client | None) -> BlockDocument:
    """Store a block under `name` and return the document."""
    if name is None:
        raise ValueError(f"This {block.get_block_type_name()} block has no name yet. Give one: `save('my-{block.get_block_type_slug()}')`.")
    BlockDocumentCreate(name=name, block_schema_id=NO_ID, block_type_id=NO_ID)  # a bad name fails before anything is stored
    client = client or current_client()
    stored = await register(type(block), client)
    assert stored.block_type_id is not None
    body = BlockDocumentCreate(name=name, data=block.document_data(), block_schema_id=stored.id, block_type_id=stored.block_type_id)
    update = BlockDocumentUpdate(block_schema_id=stored.id, data=body.data, merge_existing_data=False)
    while True:
        try:
            return await client.call(endpoints.CREATE_BLOCK_DOCUMENT, body)
        except ObjectAlreadyExists as error:
            if not overwrite:
                raise ValueError(
                    f"A {block.get_block_type_name()} block named {name!r} exists already. "
                    "Choose another name, or replace its values with `overwrite=True`."
                ) from error
        try:
            found = await client.call(
                endpoints.READ_BLOCK_DOCUMENT_BY_NAME, slug=block.get_block_type_slug(), block_document_name=name, include_secrets=False
            )
            await client.call(endpoints.UPDATE_BLOCK_DOCUMENT, update, id=found.id)
        except ObjectNotFound:
            continue  # somebody deleted it in between: create it after all
        return found.model_copy(update={"block_schema_id": stored.id})


async def delete(block_class: type[Block], name: str, client: Client | None) -> None:
    """Delete a saved block."""
    client = client or current_client()
    document = await loading.fetch_by_name(block_class, name, client, include_secrets=False)
    await client.call(endpoints.DELETE_BLOCK_DOCUMENT, id=document.id)
