"""Shapes of block types, schemas and documents: what is stored, asked for, filtered and sorted.

The checksum of a schema lives here too, because the client computes it to look a schema up and the store computes it to keep it.
"""

from __future__ import annotations

import json
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from headrace.model.base import Action, Body, Model, Record
from headrace.model.filters import AnyId, LikeName, Operator

NAME_PATTERN = r"^[^/%&><]+$"
OBFUSCATED = "********"
"""What stands for a secret in an answer that does not include secrets. Sent back, it means "keep what is stored"."""
NON_VERSIONED = "non-versioned"
ALLOWED_IN_SLUGS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def check_dashed(value: str) -> str:
    """Return `value` if it holds lower-case letters, digits and dashes only; raise `ValueError` otherwise."""
    if not value or not set(value) <= ALLOWED_IN_SLUGS:
        raise ValueError(f"{value!r} must only contain lowercase letters, numbers, and dashes.")
    return value


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Slug = Annotated[str, AfterValidator(check_dashed)]
DocumentName = Annotated[str, Field(pattern=NAME_PATTERN), AfterValidator(check_dashed)]


def schema_checksum(fields: dict[str, Any]) -> str:
    """Return the checksum that decides whether a block schema is a new version: `sha256:` and 64 hexadecimal digits.

    `secret_fields` does not count, nor do definitions of nested blocks (those have a checksum of their own, named in
    `block_schema_references`). The text that is hashed is the one that other clients of the documented API hash.
    """
    counted = {name: value for name, value in fields.items() if name not in ("secret_fields", "definitions")}
    definitions = cast("dict[str, dict[str, Any]]", fields.get("definitions") or {})
    own = {name: definition for name, definition in definitions.items() if "block_type_slug" not in definition}
    if own:
        counted["definitions"] = own
    text = json.dumps([[counted], {}], sort_keys=True)
    return "sha256:" + sha256(text.encode()).hexdigest()


# --- stored objects ------------------------------------------------------------------------------------------------


class BlockType(Record):
    """A kind of block, known by its slug."""

    name: Name
    slug: str
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None
    is_protected: bool = False


class BlockSchema(Record):
    """One version of the fields of a block type, as JSON schema."""

    checksum: str
    fields: dict[str, Any] = Field(default_factory=dict)
    block_type_id: UUID | None
    block_type: BlockType | None = None
    capabilities: list[str] = Field(default_factory=list)
    version: str = NON_VERSIONED


class BlockDocument(Record):
    """Saved values of a block. `data` shows `********` for secrets unless they were asked for.

    `block_document_references` maps the name of a field to `{"block_document": {id, name, block_type, is_anonymous,
    block_document_references}}` for fields that hold another saved block; `data` has that block's values in place.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    name: Name | None = None
    data: dict[str, Any] = Field(default_factory=dict, repr=False)
    block_schema_id: UUID
    block_schema: BlockSchema | None = None
    block_type_id: UUID
    block_type_name: str | None = None
    block_type: BlockType | None = None
    block_document_references: dict[str, dict[str, Any]] = Field(default_factory=dict)
    is_anonymous: bool = False


class BlockRegistration(Model):
    """What a block class says of itself, so that its type and schema can be stored without its code."""

    type: BlockTypeCreate
    fields: dict[str, Any]
    capabilities: list[str]
    version: str


# --- actions --------------------------------------------------------------------------------------------------------


class BlockTypeCreate(Action):
    """A new block type."""

    name: Name
    slug: Slug
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None


class BlockTypeUpdate(Action):
    """What of a block type may change; fields that are left out stay as they are."""

    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None


class BlockSchemaCreate(Action):
    """A schema of a block type; the store computes the checksum."""

    fields: dict[str, Any] = Field(default_factory=dict)
    block_type_id: UUID
    capabilities: list[str] = Field(default_factory=list)
    version: str = NON_VERSIONED


class BlockDocumentCreate(Action):
    """New saved values. Without a name the document is anonymous and gets one."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: DocumentName | None = None
    data: dict[str, Any] = Field(default_factory=dict, repr=False)
    block_schema_id: UUID
    block_type_id: UUID
    is_anonymous: bool = False


class BlockDocumentUpdate(Action):
    """New values for a document: laid over the stored ones, or in their place with `merge_existing_data=False`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    block_schema_id: UUID | None = None
    data: dict[str, Any] = Field(default_factory=dict, repr=False)
    merge_existing_data: bool = True


# --- filters and sorts -----------------------------------------------------------------------------------------------


class BlockTypeFilterName(Action):
    """`like_`: the name holds this text, case aside."""

    like_: str | None = None


class BlockTypeFilterSlug(Action):
    """`any_`: the slug is one of these."""

    any_: list[str] | None = None


class BlockTypeFilter(Action):
    """Which block types; everything given must hold."""

    name: BlockTypeFilterName | None = None
    slug: BlockTypeFilterSlug | None = None


class BlockSchemaFilterBlockTypeId(AnyId):
    """By type: one of several."""


class BlockSchemaFilterCapabilities(Action):
    """`all_`: the schema has each of these capabilities."""

    all_: list[str] | None = None


class BlockSchemaFilterId(AnyId):
    """By id."""


class BlockSchemaFilterVersion(Action):
    """`any_`: the version is one of these."""

    any_: list[str] | None = None


class BlockSchemaFilter(Action):
    """Which block schemas; with `operator="or_"` one condition is enough."""

    operator: Operator = Operator.and_
    block_type_id: BlockSchemaFilterBlockTypeId | None = None
    block_capabilities: BlockSchemaFilterCapabilities | None = None
    id: BlockSchemaFilterId | None = None
    version: BlockSchemaFilterVersion | None = None


class BlockDocumentFilterId(AnyId):
    """By id."""


class BlockDocumentFilterIsAnonymous(Action):
    """`eq_`: whether the document has no name of the user's; None for both."""

    eq_: bool | None = None


class BlockDocumentFilterBlockTypeId(AnyId):
    """By type: one of several."""


class BlockDocumentFilterName(LikeName):
    """By name: one of several, or containing a text."""


class BlockDocumentFilter(Action):
    """Which block documents; anonymous ones only when asked for."""

    operator: Operator = Operator.and_
    id: BlockDocumentFilterId | None = None
    is_anonymous: BlockDocumentFilterIsAnonymous | None = Field(
        default_factory=lambda: BlockDocumentFilterIsAnonymous(eq_=False), json_schema_extra={"default": {"eq_": False}}
    )
    block_type_id: BlockDocumentFilterBlockTypeId | None = None
    name: BlockDocumentFilterName | None = None


class BlockDocumentSort(StrEnum):
    """Orders of block documents."""

    NAME_DESC = "NAME_DESC"
    NAME_ASC = "NAME_ASC"
    BLOCK_TYPE_AND_NAME_ASC = "BLOCK_TYPE_AND_NAME_ASC"


class BlockTypeQuery(Body):
    """Body of `POST /block_types/filter`."""

    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None
    offset: int = Field(default=0, ge=0)
    limit: int | None = None


class BlockSchemaQuery(Body):
    """Body of `POST /block_schemas/filter`."""

    block_schemas: BlockSchemaFilter | None = None
    offset: int = Field(default=0, ge=0)
    limit: int | None = None


class BlockDocumentCount(Body):
    """Body of `POST /block_documents/count`."""

    block_documents: BlockDocumentFilter | None = None
    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None


class BlockDocumentQuery(BlockDocumentCount):
    """Body of `POST /block_documents/filter`."""

    include_secrets: bool = False
    sort: BlockDocumentSort | None = BlockDocumentSort.NAME_ASC
    offset: int = Field(default=0, ge=0)
    limit: int | None = None
