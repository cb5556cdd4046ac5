"""Block schemas, one for each version of a block type's fields, and the capabilities that they name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.blocks import BlockSchema, BlockSchemaCreate, BlockSchemaQuery, BlockType, schema_checksum
from headrace.model.endpoints import blocks as endpoints
from headrace.model.errors import ObjectNotFound, StoreContention
from headrace.operations.blocks import block_filters as filters
from headrace.operations.blocks.block_changes import forget_missing_default_storage
from headrace.operations.conditions import Conditions
from headrace.operations.pages import page_limit
from headrace.operations.runs.encoding import build
from headrace.operations.table import Operation
from headrace.store.codec import json_in, json_out, time_out
from headrace.store.database import Transaction
from headrace.store.statements import blocks as statements


def type_out(row: Sequence[Any]) -> BlockType:
    """Read a row of `TYPE_COLUMNS`."""
    id, created, updated, name, slug, logo_url, documentation_url, description, code_example, is_protected = row
    return build(
        BlockType,
        {
            "id": UUID(bytes=id),
            "created": time_out(created),
            "updated": time_out(updated),
            "name": name,
            "slug": slug,
            "logo_url": logo_url,
            "documentation_url": documentation_url,
            "description": description,
            "code_example": code_example,
            "is_protected": bool(is_protected),
        },
    )


def schema_out(row: Sequence[Any]) -> BlockSchema:
    """Read a row of `SCHEMA_COLUMNS` and `TYPE_COLUMNS`."""
    id, created, updated, checksum, fields, block_type_id, capabilities, version = row[: statements.SCHEMA_WIDTH]
    return build(
        BlockSchema,
        {
            "id": UUID(bytes=id),
            "created": time_out(created),
            "updated": time_out(updated),
            "checksum": checksum,
            "fields": json_out(fields),
            "block_type_id": UUID(bytes=block_type_id),
            "block_type": type_out(row[statements.SCHEMA_WIDTH :]),
            "capabilities": json_out(capabilities),
            "version": version,
        },
    )


def create_block_schema(tx: Transaction, body: BlockSchemaCreate) -> BlockSchema:
    """Return the schema with these fields and this version, made if need be. Raises ObjectNotFound when its type is missing."""
    checksum = schema_checksum(body.fields)
    found = tx.sql_one(f"{statements.SELECT_SCHEMAS} WHERE s.checksum = ? AND s.version = ?", (checksum, body.version))
    if found is not None:
        tx.status = 200
        return schema_out(found)
    if tx.sql_one("SELECT 1 FROM block_type WHERE id = ?", (body.block_type_id.bytes,)) is None:
        raise ObjectNotFound(f"Block type not found: there is none with the id {body.block_type_id}.")
    now = clock.now_us()
    id = ids.new()
    values = (checksum, json_in(body.fields), json_in(body.capabilities), body.version, body.block_type_id.bytes)
    if not tx.sql_count(statements.INSERT_SCHEMA, (id.bytes, now, now, *values)):
        raise StoreContention(f"Another server stores the block schema {checksum!r} at this moment.")  # it is found at the next try
    return read_block_schema(tx, id=id)


def read_block_schema(tx: Transaction, *, id: UUID) -> BlockSchema:
    """Return a block schema. Raises ObjectNotFound."""
    found = tx.sql_one(f"{statements.SELECT_SCHEMAS} WHERE s.id = ?", (id.bytes,))
    if found is None:
        raise ObjectNotFound(f"Block schema not found: there is none with the id {id}.")
    return schema_out(found)


def read_block_schema_by_checksum(tx: Transaction, *, checksum: str, version: str | None = None) -> BlockSchema:
    """Return the schema with that checksum, the newest one unless a version is named. Raises ObjectNotFound."""
    found = tx.sql_one(
        f"{statements.SELECT_SCHEMAS} WHERE s.checksum = ?{' AND s.version = ?' if version is not None else ''}"
        " ORDER BY s.created DESC, s.id DESC LIMIT 1",
        (checksum,) if version is None else (checksum, version),
    )
    if found is None:
        of_version = f" and the version {version!r}" if version is not None else ""
        raise ObjectNotFound(f"Block schema not found: there is none with the checksum {checksum!r}{of_version}.")
    return schema_out(found)


def filter_block_schemas(tx: Transaction, body: BlockSchemaQuery) -> list[BlockSchema]:
    """List block schemas, the newest first."""
    where = Conditions()
    filters.of_schemas(where, body.block_schemas)
    rows = tx.sql(
        f"{statements.SELECT_SCHEMAS} WHERE {where.joined()} ORDER BY s.created DESC, s.id DESC LIMIT ? OFFSET ?",
        (*where.values, page_limit(body.limit), body.offset),
    )
    return [schema_out(row) for row in rows]


def delete_block_schema(tx: Transaction, *, id: UUID) -> None:
    """Delete a block schema and the documents saved with it. Raises ObjectNotFound."""
    if tx.sql_count("DELETE FROM block_schema WHERE id = ?", (id.bytes,)) == 0:
        raise ObjectNotFound(f"Block schema not found: there is none with the id {id}.")
    forget_missing_default_storage(tx)


def read_block_capabilities(tx: Transaction) -> list[str]:
    """Return every capability that some schema names, sorted."""
    return [row[0] for row in tx.sql(statements.SELECT_CAPABILITIES)]


OPERATIONS: dict[Any, Operation] = {
    endpoints.CREATE_BLOCK_SCHEMA: Operation(create_block_schema, writes=True),
    endpoints.READ_BLOCK_SCHEMA: Operation(read_block_schema, writes=False),
    endpoints.READ_BLOCK_SCHEMA_BY_CHECKSUM: Operation(read_block_schema_by_checksum, writes=False),
    endpoints.FILTER_BLOCK_SCHEMAS: Operation(filter_block_schemas, writes=False),
    endpoints.DELETE_BLOCK_SCHEMA: Operation(delete_block_schema, writes=True),
    endpoints.READ_BLOCK_CAPABILITIES: Operation(read_block_capabilities, writes=False),
}
