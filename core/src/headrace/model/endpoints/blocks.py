"""Routes of block types, schemas, documents and capabilities."""

from __future__ import annotations

from headrace.model.blocks import (
    BlockDocument,
    BlockDocumentCount,
    BlockDocumentCreate,
    BlockDocumentQuery,
    BlockDocumentUpdate,
    BlockSchema,
    BlockSchemaCreate,
    BlockSchemaQuery,
    BlockType,
    BlockTypeCreate,
    BlockTypeQuery,
    BlockTypeUpdate,
)
from headrace.model.endpoints.base import Endpoint

SECRETS = (("include_secrets", bool, False),)

CREATE_BLOCK_TYPE: Endpoint[BlockType] = Endpoint("POST", "/block_types/", noun="block_types", body=BlockTypeCreate, returns=BlockType, status=201)
FILTER_BLOCK_TYPES: Endpoint[list[BlockType]] = Endpoint(
    "POST", "/block_types/filter", noun="block_types", body=BlockTypeQuery, returns=list[BlockType]
)
INSTALL_SYSTEM_BLOCK_TYPES: Endpoint[None] = Endpoint("POST", "/block_types/install_system_block_types", noun="block_types")
READ_BLOCK_TYPE_BY_SLUG: Endpoint[BlockType] = Endpoint("GET", "/block_types/slug/{slug}", noun="block_types", returns=BlockType)
READ_BLOCK_TYPE: Endpoint[BlockType] = Endpoint("GET", "/block_types/{id}", noun="block_types", returns=BlockType)
UPDATE_BLOCK_TYPE: Endpoint[None] = Endpoint("PATCH", "/block_types/{id}", noun="block_types", body=BlockTypeUpdate, status=204)
DELETE_BLOCK_TYPE: Endpoint[None] = Endpoint("DELETE", "/block_types/{id}", noun="block_types", status=204)

CREATE_BLOCK_SCHEMA: Endpoint[BlockSchema] = Endpoint(
    "POST", "/block_schemas/", noun="block_schemas", body=BlockSchemaCreate, returns=BlockSchema, status=201
)
FILTER_BLOCK_SCHEMAS: Endpoint[list[BlockSchema]] = Endpoint(
    "POST", "/block_schemas/filter", noun="block_schemas", body=BlockSchemaQuery, returns=list[BlockSchema]
)
READ_BLOCK_SCHEMA_BY_CHECKSUM: Endpoint[BlockSchema] = Endpoint(
    "GET", "/block_schemas/checksum/{checksum}", noun="block_schemas", returns=BlockSchema, query=(("version", str | None, None),)
)
READ_BLOCK_SCHEMA: Endpoint[BlockSchema] = Endpoint("GET", "/block_schemas/{id}", noun="block_schemas", returns=BlockSchema)
DELETE_BLOCK_SCHEMA: Endpoint[None] = Endpoint("DELETE", "/block_schemas/{id}", noun="block_schemas", status=204)
READ_BLOCK_CAPABILITIES: Endpoint[list[str]] = Endpoint("GET", "/block_capabilities/", noun="block_schemas", returns=list[str])

CREATE_BLOCK_DOCUMENT: Endpoint[BlockDocument] = Endpoint(
    "POST", "/block_documents/", noun="block_documents", body=BlockDocumentCreate, returns=BlockDocument, status=201
)
FILTER_BLOCK_DOCUMENTS: Endpoint[list[BlockDocument]] = Endpoint(
    "POST", "/block_documents/filter", noun="block_documents", body=BlockDocumentQuery, returns=list[BlockDocument]
)
COUNT_BLOCK_DOCUMENTS: Endpoint[int] = Endpoint("POST", "/block_documents/count", noun="block_documents", body=BlockDocumentCount, returns=int)
READ_BLOCK_DOCUMENT: Endpoint[BlockDocument] = Endpoint("GET", "/block_documents/{id}", noun="block_documents", returns=BlockDocument, query=SECRETS)
UPDATE_BLOCK_DOCUMENT: Endpoint[None] = Endpoint("PATCH", "/block_documents/{id}", noun="block_documents", body=BlockDocumentUpdate, status=204)
DELETE_BLOCK_DOCUMENT: Endpoint[None] = Endpoint("DELETE", "/block_documents/{id}", noun="block_documents", status=204)
READ_BLOCK_DOCUMENTS_BY_TYPE: Endpoint[list[BlockDocument]] = Endpoint(
    "GET", "/block_types/slug/{slug}/block_documents", noun="block_documents", returns=list[BlockDocument], query=SECRETS
)
READ_BLOCK_DOCUMENT_BY_NAME: Endpoint[BlockDocument] = Endpoint(
    "GET",
    "/block_types/slug/{slug}/block_documents/name/{block_document_name}",
    noun="block_documents",
    returns=BlockDocument,
    query=SECRETS,
)
