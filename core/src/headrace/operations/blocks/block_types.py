"""Block types: made, changed, listed, deleted with their schemas and documents."""

from __future__ import annotations

from typing import Any, Protocol, cast
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.blocks import (
    BlockRegistration,
    BlockSchemaCreate,
    BlockType,
    BlockTypeCreate,
    BlockTypeQuery,
    BlockTypeUpdate,
)
from headrace.model.endpoints import blocks as endpoints
from headrace.model.errors import InvalidRequest, ObjectAlreadyExists, ObjectNotFound, near
from headrace.operations.blocks import block_filters as filters
from headrace.operations.blocks import block_schemas
from headrace.operations.blocks.block_changes import forget_missing_default_storage, tell_type_change
from headrace.operations.blocks.block_schemas import type_out
from headrace.operations.conditions import Conditions
from headrace.operations.pages import page_limit
from headrace.operations.table import Operation
from headrace.plugin import Kind, builtin, get_registry
from headrace.store.database import Transaction
from headrace.store.statements import blocks as statements

PROTECTED_SLUGS = frozenset({"webhook", "secret", "local-file-system"})
RESERVED_NAMES = ("Prefect", "Headrace")


class Registrable(Protocol):
    """What this module needs of a block class."""

    def get_block_registration(self) -> BlockRegistration: ...


def create_block_type(tx: Transaction, body: BlockTypeCreate) -> BlockType:
    """Make a block type. Raises ObjectAlreadyExists when the slug is taken, InvalidRequest (403) for a reserved name."""
    for word in RESERVED_NAMES:
        if body.name.startswith(word):
            raise InvalidRequest(f"Block type names beginning with '{word}' are reserved.", status=403)
    if tx.sql_one("SELECT 1 FROM block_type WHERE slug = ?", (body.slug,)) is not None:
        raise ObjectAlreadyExists(f'Block type with name "{body.name}" already exists')
    now = clock.now_us()
    id = ids.new()
    shown = (body.logo_url, body.documentation_url, body.description, body.code_example)
    tx.sql(statements.INSERT_TYPE, (id.bytes, now, now, body.name, body.slug, *shown, body.slug in PROTECTED_SLUGS))
    made = read_block_type(tx, id=id)
    tell_type_change(tx, "created", made)
    return made


def read_block_type(tx: Transaction, *, id: UUID) -> BlockType:
    """Return a block type. Raises ObjectNotFound."""
    found = tx.sql_one(f"{statements.SELECT_TYPES} WHERE t.id = ?", (id.bytes,))
    if found is None:
        raise ObjectNotFound(f"Block type not found: there is none with the id {id}.")
    return type_out(found)


def read_block_type_by_slug(tx: Transaction, *, slug: str) -> BlockType:
    """Return the block type with that slug. Raises ObjectNotFound."""
    found = tx.sql_one(f"{statements.SELECT_TYPES} WHERE t.slug = ?", (slug,))
    if found is None:
        hint = near(slug, [row[0] for row in tx.sql("SELECT slug FROM block_type")])
        raise ObjectNotFound(f"Block type not found: there is none with the slug {slug!r}. {hint}".rstrip())
    return type_out(found)


def filter_block_types(tx: Transaction, body: BlockTypeQuery) -> list[BlockType]:
    """List block types by name; with a filter of schemas, those that have a schema that matches."""
    where = Conditions()
    filters.of_types(where, body.block_types)
    if body.block_schemas is not None:
        having = Conditions()
        filters.of_schemas(having, body.block_schemas)
        where.add(f"EXISTS (SELECT 1 FROM block_schema s WHERE s.block_type_id = t.id AND {having.joined()})", *having.values)
    page = (page_limit(body.limit), body.offset)
    rows = tx.sql(f"{statements.SELECT_TYPES} WHERE {where.joined()} ORDER BY t.name, t.slug LIMIT ? OFFSET ?", (*where.values, *page))
    return [type_out(row) for row in rows]


def update_block_type(tx: Transaction, body: BlockTypeUpdate, *, id: UUID) -> None:
    """Change what is given. Raises ObjectNotFound."""
    read_block_type(tx, id=id)
    changes = body.model_dump(exclude_unset=True)
    assignments = ", ".join(f"{name} = ?" for name in ("updated", *changes))
    tx.sql(f"UPDATE block_type SET {assignments} WHERE id = ?", (clock.now_us(), *changes.values(), id.bytes))
    tell_type_change(tx, "updated", read_block_type(tx, id=id))


def delete_block_type(tx: Transaction, *, id: UUID) -> None:
    """Delete a block type and all its documents. Raises ObjectNotFound, and InvalidRequest (403) for a protected one."""
    found = read_block_type(tx, id=id)
    if found.is_protected:
        raise InvalidRequest(f"protected block types cannot be deleted: {found.slug!r} is part of headrace.", status=403)
    tx.sql("DELETE FROM block_type WHERE id = ?", (id.bytes,))
    forget_missing_default_storage(tx)
    tell_type_change(tx, "deleted", found)


def install_system_block_types(tx: Transaction) -> None:
    """Store the types and schemas of the blocks that headrace brings itself. What is there already is brought up to date."""
    registry = get_registry()
    for offer in builtin.headrace_blocks():
        register(tx, cast("Registrable", registry.resolve(Kind.BLOCK, offer.name)).get_block_registration())


def register(tx: Transaction, registration: BlockRegistration) -> None:
    """Store what a block class says of itself."""
    wanted = registration.type
    row = tx.sql_one("SELECT id FROM block_type WHERE slug = ?", (wanted.slug,))
    if row is None:
        type_id = create_block_type(tx, wanted).id
    else:
        type_id = UUID(bytes=row[0])
        _refresh(tx, type_id, wanted)
    body = BlockSchemaCreate(fields=registration.fields, block_type_id=type_id, capabilities=registration.capabilities, version=registration.version)
    block_schemas.create_block_schema(tx, body)


def _refresh(tx: Transaction, id: UUID, wanted: BlockTypeCreate) -> None:
    changes = wanted.model_dump(include=set(BlockTypeUpdate.model_fields))
    found = read_block_type(tx, id=id)
    if any(getattr(found, name) != value for name, value in changes.items()):
        update_block_type(tx, BlockTypeUpdate(**changes), id=id)


OPERATIONS: dict[Any, Operation] = {
    endpoints.CREATE_BLOCK_TYPE: Operation(create_block_type, writes=True),
    endpoints.READ_BLOCK_TYPE: Operation(read_block_type, writes=False),
    endpoints.READ_BLOCK_TYPE_BY_SLUG: Operation(read_block_type_by_slug, writes=False),
    endpoints.FILTER_BLOCK_TYPES: Operation(filter_block_types, writes=False),
    endpoints.UPDATE_BLOCK_TYPE: Operation(update_block_type, writes=True),
    endpoints.DELETE_BLOCK_TYPE: Operation(delete_block_type, writes=True),
    endpoints.INSTALL_SYSTEM_BLOCK_TYPES: Operation(install_system_block_types, writes=True),
}
