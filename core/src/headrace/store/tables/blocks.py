"""Block types, their schemas, and documents with encrypted values."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

block_type = Table(
    "block_type",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("logo_url", Text),
    Column("documentation_url", Text),
    Column("description", Text),
    Column("code_example", Text),
    Column("is_protected", Boolean, nullable=False),
)

block_schema = Table(
    "block_schema",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("fields", Json, nullable=False),
    Column("capabilities", Json, nullable=False),
    Column("version", Text, nullable=False),
    Column("block_type_id", Id, ForeignKey("block_type.id", ondelete="CASCADE"), nullable=False),
)

block_document = Table(
    "block_document",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("data", Text, nullable=False),  # a Fernet token
    Column("key_id", Text, nullable=False),  # which key made it, so that an error can say so
    Column("is_anonymous", Boolean, nullable=False),
    Column("block_type_id", Id, ForeignKey("block_type.id", ondelete="CASCADE"), nullable=False),
    Column("block_schema_id", Id, ForeignKey("block_schema.id", ondelete="CASCADE"), nullable=False),
)

block_document_reference = Table(
    "block_document_reference",
    metadata,
    Column("parent_document_id", Id, ForeignKey("block_document.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("reference_document_id", Id, ForeignKey("block_document.id", ondelete="CASCADE"), nullable=False),
)

Index("uq_block_type__slug", block_type.c.slug, unique=True)
Index("uq_block_schema__checksum_version", block_schema.c.checksum, block_schema.c.version, unique=True)
Index("ix_block_schema__block_type_id", block_schema.c.block_type_id)
Index("uq_block_document__block_type_id_name", block_document.c.block_type_id, block_document.c.name, unique=True)
Index("ix_block_document__block_schema_id", block_document.c.block_schema_id)
Index("ix_block_document_reference__reference_document_id", block_document_reference.c.reference_document_id)
