"""Documented client methods on blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from headrace.model.blocks import OBFUSCATED
from headrace.model.endpoints import blocks as endpoints

if TYPE_CHECKING:
    from headrace.client.interface import Client
    from headrace.model.blocks import (
        BlockDocument,
        BlockDocumentCreate,
        BlockDocumentUpdate,
        BlockSchema,
        BlockSchemaCreate,
        BlockType,
        BlockTypeCreate,
        BlockTypeUpdate,
    )


def _plain(value: Any, include_secrets: bool) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item, include_secrets) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(item, include_secrets) for item in cast("list[Any]", value)]
    if not hasattr(value, "get_secret_value"):
        return value
    if not include_secrets:
        return OBFUSCATED
    secret = value.get_secret_value()
    return secret.decode() if isinstance(secret, bytes) else secret


class BlockMethods:
    """Block types, schemas and documents, for a client that has `call`."""

    # --- types

    async def create_block_type(self: Client, block_type: BlockTypeCreate) -> BlockType:
        """Create a block type. Raises ObjectAlreadyExists when its slug is taken."""
        return await self.call(endpoints.CREATE_BLOCK_TYPE, block_type)

    async def read_block_type_by_slug(self: Client, slug: str) -> BlockType:
        """Return the block type with that slug. Raises ObjectNotFound."""
        return await self.call(endpoints.READ_BLOCK_TYPE_BY_SLUG, slug=slug)

    async def read_block_types(self: Client) -> list[BlockType]:
        """Return the block types, by name: at most one page of 200."""
        return await self.call(endpoints.FILTER_BLOCK_TYPES)

    async def update_block_type(self: Client, block_type_id: UUID, block_type: BlockTypeUpdate) -> None:
        """Change what is given of a block type. Raises ObjectNotFound."""
        await self.call(endpoints.UPDATE_BLOCK_TYPE, block_type, id=block_type_id)

    async def delete_block_type(self: Client, block_type_id: UUID) -> None:
        """Delete a block type and all its documents. Raises ObjectNotFound, and ProtectedBlockError for a built-in one."""
        from headrace.model.errors import InvalidRequest, ProtectedBlockError

        try:
            await self.call(endpoints.DELETE_BLOCK_TYPE, id=block_type_id)
        except InvalidRequest as error:
            if error.status != 403:
                raise
            raise ProtectedBlockError(str(error)) from error

    # --- schemas

    async def create_block_schema(self: Client, block_schema: BlockSchemaCreate) -> BlockSchema:
        """Create a block schema, or return the one with the same fields and version."""
        return await self.call(endpoints.CREATE_BLOCK_SCHEMA, block_schema)

    async def read_block_schema_by_checksum(self: Client, checksum: str, version: str | None = None) -> BlockSchema:
        """Return the block schema with that checksum, the newest unless a version is given. Raises ObjectNotFound."""
        return await self.call(endpoints.READ_BLOCK_SCHEMA_BY_CHECKSUM, checksum=checksum, version=version)

    async def read_block_schemas(self: Client) -> list[BlockSchema]:
        """Return the block schemas, the newest first: at most one page of 200."""
        return await self.call(endpoints.FILTER_BLOCK_SCHEMAS)

    async def get_most_recent_block_schema_for_block_type(self: Client, block_type_id: UUID) -> BlockSchema | None:
        """Return the newest schema of a block type, or None."""
        from headrace.model.blocks import BlockSchemaFilter, BlockSchemaFilterBlockTypeId, BlockSchemaQuery

        wanted = BlockSchemaFilter(block_type_id=BlockSchemaFilterBlockTypeId(any_=[block_type_id]))
        found = await self.call(endpoints.FILTER_BLOCK_SCHEMAS, BlockSchemaQuery(block_schemas=wanted, limit=1))
        return found[0] if found else None

    # --- documents

    async def create_block_document(self: Client, block_document: BlockDocument | BlockDocumentCreate, include_secrets: bool = True) -> BlockDocument:
        """Create a block document and return it, without its secrets.

        Values of `data` may be hidden (`SecretStr` and its like); with `include_secrets=False` stars are saved for those. Raises
        ObjectAlreadyExists when the type has a document of that name.
        """
        from headrace.model.blocks import BlockDocumentCreate

        body = BlockDocumentCreate(
            name=block_document.name,
            data=_plain(block_document.data, include_secrets),
            block_schema_id=block_document.block_schema_id,
            block_type_id=block_document.block_type_id,
            is_anonymous=block_document.is_anonymous,
        )
        return await self.call(endpoints.CREATE_BLOCK_DOCUMENT, body)

    async def read_block_document(self: Client, block_document_id: UUID, include_secrets: bool = True) -> BlockDocument:
        """Return a block document. Raises ObjectNotFound."""
        return await self.call(endpoints.READ_BLOCK_DOCUMENT, id=block_document_id, include_secrets=include_secrets)

    async def read_block_document_by_name(self: Client, name: str, block_type_slug: str, include_secrets: bool = True) -> BlockDocument:
        """Return the block document of that name and type. Raises ObjectNotFound."""
        return await self.call(endpoints.READ_BLOCK_DOCUMENT_BY_NAME, slug=block_type_slug, block_document_name=name, include_secrets=include_secrets)

    async def read_block_documents(
        self: Client,
        block_schema_type: str | None = None,
        offset: int | None = None,
        limit: int | None = None,
        include_secrets: bool = True,
    ) -> list[BlockDocument]:
        """Return block documents by name, those with the capability `block_schema_type` if it is given."""
        from headrace.model.blocks import BlockDocumentQuery, BlockSchemaFilter, BlockSchemaFilterCapabilities

        capable = BlockSchemaFilterCapabilities(all_=[block_schema_type]) if block_schema_type else None
        query = BlockDocumentQuery(
            block_schemas=BlockSchemaFilter(block_capabilities=capable) if capable else None,
            offset=offset or 0,
            limit=limit,
            include_secrets=include_secrets,
        )
        return await self.call(endpoints.FILTER_BLOCK_DOCUMENTS, query)

    async def read_block_documents_by_type(
        self: Client, block_type_slug: str, offset: int | None = None, limit: int | None = None, include_secrets: bool = True
    ) -> list[BlockDocument]:
        """Return the block documents of a type by name."""
        from headrace.model.blocks import BlockDocumentQuery, BlockTypeFilter, BlockTypeFilterSlug

        query = BlockDocumentQuery(
            block_types=BlockTypeFilter(slug=BlockTypeFilterSlug(any_=[block_type_slug])),
            offset=offset or 0,
            limit=limit,
            include_secrets=include_secrets,
        )
        return await self.call(endpoints.FILTER_BLOCK_DOCUMENTS, query)

    async def update_block_document(self: Client, block_document_id: UUID, block_document: BlockDocumentUpdate) -> None:
        """Change the values of a block document. Raises ObjectNotFound."""
        await self.call(endpoints.UPDATE_BLOCK_DOCUMENT, block_document, id=block_document_id)

    async def delete_block_document(self: Client, block_document_id: UUID) -> None:
        """Delete a block document. Raises ObjectNotFound."""
        await self.call(endpoints.DELETE_BLOCK_DOCUMENT, id=block_document_id)
