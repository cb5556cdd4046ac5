"""Block documents: saved values, encrypted as a whole; other saved blocks in them are references, put in place when read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.blocks import (
    BlockDocument,
    BlockDocumentCount,
    BlockDocumentCreate,
    BlockDocumentFilter,
    BlockDocumentFilterBlockTypeId,
    BlockDocumentQuery,
    BlockDocumentSort,
    BlockDocumentUpdate,
)
from headrace.model.endpoints import blocks as endpoints
from headrace.model.errors import EncryptionKeyError, InvalidRequest, ObjectAlreadyExists, ObjectNotFound
from headrace.operations.blocks import block_filters as filters
from headrace.operations.blocks.block_changes import forget_missing_default_storage, tell_document_change
from headrace.operations.blocks.block_schemas import read_block_schema, schema_out
from headrace.operations.blocks.block_types import read_block_type_by_slug
from headrace.operations.conditions import Conditions
from headrace.operations.pages import page_limit
from headrace.operations.runs.encoding import build
from headrace.operations.table import Operation
from headrace.rules.secrets import obfuscate, restore
from headrace.store.codec import json_in, json_out, time_out
from headrace.store.database import Transaction
from headrace.store.encryption import Sealed, current_keyring
from headrace.store.statements import blocks as statements

_ORDER = {
    BlockDocumentSort.NAME_ASC: "d.name, t.slug",
    BlockDocumentSort.NAME_DESC: "d.name DESC, t.slug",
    BlockDocumentSort.BLOCK_TYPE_AND_NAME_ASC: "t.name, d.name",
}
_SCHEMA_START = statements.DOCUMENT_WIDTH

Row = Sequence[Any]


def create_block_document(tx: Transaction, body: BlockDocumentCreate) -> BlockDocument:
    """Save values under a name and return them with secrets hidden.

    Raises ObjectAlreadyExists when the type has a document of that name, ObjectNotFound for an unknown schema or referenced document,
    InvalidRequest for a document without a name that is not anonymous, and for a schema of another type.
    """
    id = ids.new()
    name = body.name or (f"anonymous-{id}" if body.is_anonymous else None)
    if name is None:
        raise InvalidRequest("Names must be provided for block documents.")
    _check_schema(tx, body.block_schema_id, body.block_type_id)
    if tx.sql_one("SELECT 1 FROM block_document WHERE block_type_id = ? AND name = ?", (body.block_type_id.bytes, name)) is not None:
        raise ObjectAlreadyExists("Block already exists")
    own, references = _split(body.data)
    sealed = _seal(tx, own)
    now = clock.now_us()
    owners = (body.block_type_id.bytes, body.block_schema_id.bytes)
    tx.sql(statements.INSERT_DOCUMENT, (id.bytes, now, now, name, sealed.token, sealed.key_id, body.is_anonymous, *owners))
    _write_references(tx, id, references)
    made = read_block_document(tx, id=id)
    tell_document_change(tx, "created", made)
    return made


def read_block_document(tx: Transaction, *, id: UUID, include_secrets: bool = False) -> BlockDocument:
    """Return a document. Raises ObjectNotFound."""
    return _document(tx, _row(tx, id), include_secrets)


def read_block_document_by_name(tx: Transaction, *, slug: str, block_document_name: str, include_secrets: bool = False) -> BlockDocument:
    """Return the document of that name and type. Raises ObjectNotFound."""
    row = tx.sql_one(f"{statements.SELECT_DOCUMENTS} WHERE t.slug = ? AND d.name = ?", (slug, block_document_name))
    if row is None:
        raise ObjectNotFound(f"Block document not found: there is no {slug}/{block_document_name}.")
    return _document(tx, row, include_secrets)


def read_block_documents_by_type(tx: Transaction, *, slug: str, include_secrets: bool = False) -> list[BlockDocument]:
    """List the documents of a type by name, anonymous ones left out. Raises ObjectNotFound for an unknown type."""
    block_type = read_block_type_by_slug(tx, slug=slug)
    wanted = BlockDocumentFilter(block_type_id=BlockDocumentFilterBlockTypeId(any_=[block_type.id]))
    return filter_block_documents(tx, BlockDocumentQuery(block_documents=wanted, include_secrets=include_secrets))


def filter_block_documents(tx: Transaction, body: BlockDocumentQuery) -> list[BlockDocument]:
    """List documents."""
    where = _where(body)
    order = _ORDER[body.sort or BlockDocumentSort.NAME_ASC]
    rows = tx.sql(
        f"{statements.SELECT_DOCUMENTS} WHERE {where.joined()} ORDER BY {order} LIMIT ? OFFSET ?",
        (*where.values, page_limit(body.limit), body.offset),
    )
    return [_document(tx, row, body.include_secrets) for row in rows]


def count_block_documents(tx: Transaction, body: BlockDocumentCount) -> int:
    """Count documents."""
    where = _where(body)
    found = tx.sql_one(f"SELECT COUNT(*) {statements.DOCUMENTS} WHERE {where.joined()}", where.values)
    assert found is not None
    return found[0]


def update_block_document(tx: Transaction, body: BlockDocumentUpdate, *, id: UUID) -> None:
    """Lay new values over the stored ones, or put them in their place. A hidden value that comes back leaves the stored one.

    Raises ObjectNotFound, and InvalidRequest (400) for a schema of another type or a block that would hold itself.
    """
    row = _row(tx, id)
    schema_id = UUID(bytes=row[_SCHEMA_START])
    if body.block_schema_id is not None:
        schema_id = body.block_schema_id
        _check_schema(tx, schema_id, UUID(bytes=row[_SCHEMA_START + 5]))
    old_own, old_references = _stored(tx, row)
    own, references = _split(body.data)
    own = cast("dict[str, Any]", restore(own, old_own))
    _keep_references(tx, own, references, old_references)
    if body.merge_existing_data:
        own = {**{name: value for name, value in old_own.items() if name not in references}, **own}
        references = {**{name: other for name, other in old_references.items() if name not in own}, **references}
    sealed = _seal(tx, own)
    tx.sql(statements.UPDATE_DOCUMENT, (clock.now_us(), sealed.token, sealed.key_id, schema_id.bytes, id.bytes))
    _write_references(tx, id, references)
    tell_document_change(tx, "updated", read_block_document(tx, id=id))


def delete_block_document(tx: Transaction, *, id: UUID) -> None:
    """Delete a document. Blocks that hold it lose it. Raises ObjectNotFound."""
    gone = _built(_row(tx, id), {}, {})  # its values are not needed, so it can go even if its key is lost
    tx.sql("DELETE FROM block_document WHERE id = ?", (id.bytes,))
    forget_missing_default_storage(tx)
    tell_document_change(tx, "deleted", gone)


# --- rows ------------------------------------------------------------------------------------------------------------


def _row(tx: Transaction, id: UUID) -> Row:
    row = tx.sql_one(f"{statements.SELECT_DOCUMENTS} WHERE d.id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound(_missing(id))
    return row


def _missing(id: UUID) -> str:
    return f"Block document not found: there is none with the id {id}."


def _where(body: BlockDocumentCount) -> Conditions:
    where = Conditions()
    filters.of_documents(where, body.block_documents)
    filters.of_types(where, body.block_types)
    filters.of_schemas(where, body.block_schemas)
    return where


def _document(tx: Transaction, row: Row, include_secrets: bool) -> BlockDocument:
    """Read a row of `DOCUMENT_COLUMNS`, `SCHEMA_COLUMNS` and `TYPE_COLUMNS`, with the documents that it refers to."""
    data, references = _stored(tx, row)
    shown: dict[str, dict[str, Any]] = {}
    for name, other in references.items():
        nested = _document(tx, _row(tx, other), include_secrets)
        data[name] = nested.data
        shown[name] = {"block_document": _summary(nested)}
    if not include_secrets:
        data = obfuscate(data, schema_out(row[_SCHEMA_START:]).fields.get("secret_fields") or [])
        data = _obfuscate_inline(tx, data)
    return _built(row, data, shown)


def _built(row: Row, data: dict[str, Any], references: dict[str, dict[str, Any]]) -> BlockDocument:
    schema = schema_out(row[_SCHEMA_START:])
    block_type = schema.block_type
    assert block_type is not None
    return build(
        BlockDocument,
        {
            "id": UUID(bytes=row[0]),
            "created": time_out(row[1]),
            "updated": time_out(row[2]),
            "name": row[3],
            "data": data,
            "block_schema_id": schema.id,
            "block_schema": schema,
            "block_type_id": block_type.id,
            "block_type_name": block_type.name,
            "block_type": block_type,
            "block_document_references": references,
            "is_anonymous": bool(row[6]),
        },
    )


def _summary(document: BlockDocument) -> dict[str, Any]:
    assert document.block_type is not None
    return {
        "id": str(document.id),
        "name": document.name,
        "block_type": document.block_type.model_dump(mode="json"),
        "is_anonymous": document.is_anonymous,
        "block_document_references": document.block_document_references,
    }


def _obfuscate_inline(tx: Transaction, data: Any) -> Any:
    """Hide the secrets of blocks that are part of the values and say their type: the schema around them may only know an interface."""
    if isinstance(data, list):
        return [_obfuscate_inline(tx, item) for item in cast("list[Any]", data)]
    if not isinstance(data, dict):
        return data
    values = cast("dict[str, Any]", data)
    slug = values.get("block_type_slug")
    if isinstance(slug, str):
        found = tx.sql_one(statements.SELECT_NEWEST_FIELDS, (slug,))
        paths = json_out(found[0]).get("secret_fields") or [] if found is not None else ["*"]
        values = {**cast("dict[str, Any]", obfuscate(values, paths)), "block_type_slug": slug}
    return {name: _obfuscate_inline(tx, value) for name, value in values.items()}


def _stored(tx: Transaction, row: Row) -> tuple[dict[str, Any], dict[str, UUID]]:
    """Return a document's own values in clear, and the documents that it refers to by field."""
    what = f"block document {row[3]!r}"
    data = json_out(current_keyring().open(Sealed(row[4], row[5]), what[0].upper() + what[1:]))
    return data, {name: UUID(bytes=other) for name, other in tx.sql(statements.SELECT_REFERENCES, (row[0],))}


# --- values on their way in -----------------------------------------------------------------------------------------------


def _check_schema(tx: Transaction, schema_id: UUID, type_id: UUID) -> None:
    if read_block_schema(tx, id=schema_id).block_type_id != type_id:
        raise InvalidRequest("The block schema belongs to another block type. Use a schema of the document's own type.", status=400)


def _split(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, UUID]]:
    """Return the values without `{"$ref": {"block_document_id": id}}`, and what those refer to."""
    own: dict[str, Any] = {}
    references: dict[str, UUID] = {}
    for name, value in data.items():
        target = cast("dict[str, Any]", value).get("$ref") if isinstance(value, dict) else None
        if target is None:
            own[name] = value
            continue
        try:
            references[name] = UUID(str(cast("dict[str, Any]", target)["block_document_id"]))
        except (TypeError, KeyError, ValueError):
            raise InvalidRequest(f'The reference in field {name!r} must read {{"$ref": {{"block_document_id": "<id>"}}}}.') from None
    return own, references


def _keep_references(tx: Transaction, own: dict[str, Any], references: dict[str, UUID], old_references: dict[str, UUID]) -> None:
    """Put a reference back where its document's values came back as they were read; otherwise keep the secrets hidden in them."""
    for name, other in old_references.items():
        if name not in own:
            continue
        row = _row(tx, other)
        seen, clear = _document(tx, row, include_secrets=False).data, _document(tx, row, include_secrets=True).data
        if own[name] in (seen, clear):
            del own[name]
            references[name] = other
        else:
            own[name] = restore(own[name], clear)


def _write_references(tx: Transaction, id: UUID, references: dict[str, UUID]) -> None:
    for name, other in references.items():
        _row(tx, other)
        if _reaches(tx, other, id):
            raise InvalidRequest(f"Field {name!r} would make the block part of itself.", status=400)
    tx.sql(statements.DELETE_REFERENCES, (id.bytes,))
    tx.sql_many(statements.INSERT_REFERENCE, [(id.bytes, name, other.bytes) for name, other in references.items()])


def _reaches(tx: Transaction, start: UUID, goal: UUID) -> bool:
    seen: set[UUID] = set()
    waiting = [start]
    while waiting:
        id = waiting.pop()
        if id == goal:
            return True
        if id not in seen:
            seen.add(id)
            waiting.extend(UUID(bytes=other) for _, other in tx.sql(statements.SELECT_REFERENCES, (id.bytes,)))
    return False


def _seal(tx: Transaction, data: dict[str, Any]) -> Sealed:
    """Encrypt values. The first document of a database makes the key; a second key beside the first is refused."""
    keyring = current_keyring()
    in_use = {row[0] for row in tx.sql(statements.SELECT_KEY_IDS)}
    if not in_use:
        keyring.create()
    elif in_use.isdisjoint(keyring.key_ids()):
        raise EncryptionKeyError(keyring.foreign("What this database holds", in_use.pop()))
    text = json_in(data)
    assert text is not None
    return keyring.seal(text)


OPERATIONS: dict[Any, Operation] = {
    endpoints.CREATE_BLOCK_DOCUMENT: Operation(create_block_document, writes=True),
    endpoints.READ_BLOCK_DOCUMENT: Operation(read_block_document, writes=False),
    endpoints.READ_BLOCK_DOCUMENT_BY_NAME: Operation(read_block_document_by_name, writes=False),
    endpoints.READ_BLOCK_DOCUMENTS_BY_TYPE: Operation(read_block_documents_by_type, writes=False),
    endpoints.FILTER_BLOCK_DOCUMENTS: Operation(filter_block_documents, writes=False),
    endpoints.COUNT_BLOCK_DOCUMENTS: Operation(count_block_documents, writes=False),
    endpoints.UPDATE_BLOCK_DOCUMENT: Operation(update_block_document, writes=True),
    endpoints.DELETE_BLOCK_DOCUMENT: Operation(delete_block_document, writes=True),
}
