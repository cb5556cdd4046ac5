"""Blocks on their way from the store."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from pydantic import SecretStr, TypeAdapter, ValidationError

from headrace.client.connect import current_client
from headrace.client.interface import Client
from headrace.model.blocks import BlockDocument
from headrace.model.endpoints import blocks as endpoints
from headrace.model.errors import ObjectNotFound, near
from headrace.objects.blocks import known, schema
from headrace.objects.fields import SecretDict

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from headrace.objects.blocks.block import Block

B = TypeVar("B", bound="Block")


async def fetch_by_name(block_class: type[Block], name: str, client: Client | None = None, include_secrets: bool = True) -> BlockDocument:
    """Return the document that `name` means to this class: its own name, or `slug/name`. Raises ValueError when there is none."""
    client = client or current_client()
    slug, slash, document_name = name.rpartition("/")
    if schema.is_saveable(block_class):
        own = block_class.get_block_type_slug()
        if slash and slug != own:
            raise ValueError(f"{name!r} is a document of block type {slug!r}, but {block_class.__name__} is {own!r}. Use `Block.load`.")
        slug = own
    elif not slug or not document_name:
        raise ValueError(
            f"`{block_class.__name__}.load` needs 'type-slug/document-name', got {name!r}. "
            "Write for instance `Block.load('secret/my-password')`, or load from the class: `Secret.load('my-password')`."
        )
    try:
        return await client.call(endpoints.READ_BLOCK_DOCUMENT_BY_NAME, slug=slug, block_document_name=document_name, include_secrets=include_secrets)
    except ObjectNotFound as error:
        raise ValueError(await _no_document(client, slug, document_name)) from error


async def _no_document(client: Client, slug: str, name: str) -> str:
    try:
        others = await client.call(endpoints.READ_BLOCK_DOCUMENTS_BY_TYPE, slug=slug, include_secrets=False)
    except ObjectNotFound:
        types = await client.call(endpoints.FILTER_BLOCK_TYPES)
        from headrace.plugin import Kind, get_registry

        known = {block_type.slug for block_type in types} | {offer.name for offer in get_registry().offers(Kind.BLOCK)}
        hint = near(slug, sorted(known - {slug}))
        return f"No block of type {slug!r} has been saved yet, so {name!r} cannot be found. {hint}".rstrip()
    names = [other.name for other in others if other.name]
    hint = near(name, names) or (f"There is {', '.join(repr(other) for other in names[:10])}." if names else "There is none of that type.")
    return f"Unable to find block document named {name!r} for block type {slug!r}. {hint}"


async def fetch_by_reference(block_class: type[Block], reference: str | UUID | dict[str, Any], client: Client | None = None) -> BlockDocument:
    """Return the document that a reference points to. Raises ValueError for a reference of another form, or to nothing."""
    client = client or current_client()
    if isinstance(reference, dict):
        if "block_document_slug" in reference:
            from headrace.objects.blocks.block import Block

            return await fetch_by_name(Block, str(reference["block_document_slug"]), client)
        reference = cast("str | UUID", reference.get("block_document_id"))
    try:
        id = reference if isinstance(reference, UUID) else UUID(reference)
    except (ValueError, TypeError, AttributeError):
        raise ValueError(
            f"{reference!r} is not a reference to a saved block. Give a document's id, "
            '{"block_document_id": id} or {"block_document_slug": "type-slug/name"}.'
        ) from None
    try:
        return await client.call(endpoints.READ_BLOCK_DOCUMENT, id=id, include_secrets=True)
    except ObjectNotFound as error:
        raise ValueError(f"Unable to find a block document with id {str(id)!r} for {block_class.__name__}.") from error


def block_from(block_class: type[B], document: BlockDocument, validate: bool) -> B:
    """Return the block that a document holds."""
    if document.block_type is None or document.block_schema is None:
        raise ValueError(f"The server did not say the type of block document {document.name!r}, so it cannot be loaded.")
    slug = document.block_type.slug
    found: type[B] = block_class
    if not schema.is_saveable(block_class):
        found = cast("type[B]", known.class_of(slug))
        if not issubclass(found, block_class):
            raise ValueError(f"Block document {slug}/{document.name} is a {found.__name__}, not a {block_class.__name__}.")
    elif slug != block_class.get_block_type_slug():
        raise ValueError(f"Block document {slug}/{document.name} is of type {slug!r}, but {block_class.__name__} was asked for.")
    if document.block_schema.checksum != schema.checksum(found):
        warnings.warn(
            f"Block document {slug}/{document.name} was saved with another schema than this {found.__name__} has "
            f"({document.block_schema.checksum[:14]}…, here {schema.checksum(found)[:14]}…). Save it again to bring it up to date.",
            UserWarning,
            stacklevel=2,
        )
    data = _with_types(document.data, document.block_document_references)
    block = _validated(found, document, data) if validate else _unvalidated(found, data)
    _hide_extra_secrets(block, document)
    _adopt(block, document)
    return block


def _validated(block_class: type[B], document: BlockDocument, data: dict[str, Any]) -> B:
    try:
        return block_class.model_validate(data)
    except ValidationError as error:
        missing = [str(problem["loc"][0]) for problem in error.errors(include_input=False) if problem["type"] == "missing"]
        top = [name for name in missing if name not in data]
        if not top:
            raise
        raise RuntimeError(
            f"Block document {document.name!r} lacks {', '.join(repr(name) for name in top)}, which {block_class.__name__} requires: "
            "the class has changed since the document was saved. Load it with `validate=False`, set what is missing, and save it "
            "again with `overwrite=True`."
        ) from error


def _unvalidated(block_class: type[B], data: dict[str, Any]) -> B:
    from headrace.objects.blocks.block import initialising

    values: dict[str, Any] = {}
    given: set[str] = set()
    for name, field in block_class.model_fields.items():
        key = field.alias or name
        if key in data:
            values[name] = _as_far_as_possible(field, data[key])
            given.add(name)
        else:
            values[name] = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    taken = {field.alias or name for name, field in block_class.model_fields.items()}
    values.update({name: value for name, value in data.items() if name not in taken})
    token = initialising.set(False)
    try:
        return block_class.model_construct(given, **values)
    finally:
        initialising.reset(token)


def _as_far_as_possible(field: FieldInfo, value: Any) -> Any:
    """Return the value as its field's type, so that a secret stays hidden; unchanged if it does not fit."""
    try:
        return TypeAdapter(cast("Any", field.annotation)).validate_python(value)
    except ValidationError:
        return value


def _with_types(data: dict[str, Any], references: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return `data` with the slug of each referenced block beside its values, so that each becomes an object of its class."""
    typed = dict(data)
    for name, reference in references.items():
        document: dict[str, Any] = reference.get("block_document", {})
        slug = document.get("block_type", {}).get("slug")
        if slug and isinstance(typed.get(name), dict):
            known.class_of(slug)
            typed[name] = {**_with_types(typed[name], document.get("block_document_references", {})), "block_type_slug": slug}
    return typed


def _adopt(block: Block, document: BlockDocument) -> None:
    """Tell a block, and the saved blocks in its fields, which documents they are."""
    block.adopt_document(document)
    _adopt_nested(block, document.block_document_references)


def _adopt_nested(block: Block, references: dict[str, dict[str, Any]]) -> None:
    from headrace.objects.blocks.block import Block

    fields = {field.alias or name: name for name, field in type(block).model_fields.items()}
    for key, reference in references.items():
        nested = getattr(block, fields.get(key, key), None)
        document: dict[str, Any] = reference.get("block_document", {})
        if isinstance(nested, Block) and "id" in document:
            nested.adopt_reference(document)
            _adopt_nested(nested, document.get("block_document_references", {}))


def _hide_extra_secrets(block: Block, document: BlockDocument) -> None:
    """Hide values of fields that the class does not have but that were secret when the document was saved."""
    assert document.block_schema is not None
    extra = block.model_extra
    if not extra:
        return
    for path in cast("list[str]", document.block_schema.fields.get("secret_fields", [])):
        name = path.partition(".")[0]
        value = extra.get(name)
        if isinstance(value, str):
            extra[name] = SecretStr(value)
        elif isinstance(value, dict):
            extra[name] = SecretDict(cast("dict[str, Any]", value))
