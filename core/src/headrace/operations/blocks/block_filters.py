"""Filters of blocks as conditions on the tables `t` (types), `s` (schemas) and `d` (documents)."""

from __future__ import annotations

from headrace.model.blocks import BlockDocumentFilter, BlockSchemaFilter, BlockTypeFilter
from headrace.operations.conditions import Conditions
from headrace.store.statements.blocks import HAS_CAPABILITY


def of_types(found: Conditions, wanted: BlockTypeFilter | None) -> None:
    """Add what a filter of types demands."""
    if wanted is None:
        return
    if wanted.name is not None:
        found.contains("t.name", wanted.name.like_)
    if wanted.slug is not None:
        found.any_of("t.slug", wanted.slug.any_)


def of_schemas(found: Conditions, wanted: BlockSchemaFilter | None) -> None:
    """Add what a filter of schemas demands."""
    if wanted is None:
        return
    own = Conditions()
    if wanted.block_type_id is not None:
        own.any_of("s.block_type_id", wanted.block_type_id.any_)
    if wanted.block_capabilities is not None and wanted.block_capabilities.all_:
        capabilities = wanted.block_capabilities.all_
        own.add("(" + " AND ".join([HAS_CAPABILITY] * len(capabilities)) + ")", *capabilities)
    if wanted.id is not None:
        own.any_of("s.id", wanted.id.any_)
    if wanted.version is not None:
        own.any_of("s.version", wanted.version.any_)
    found.add(own.joined(wanted.operator), *own.values)


def of_documents(found: Conditions, wanted: BlockDocumentFilter | None) -> None:
    """Add what a filter of documents demands; without one, that they have a name of the user's."""
    wanted = wanted if wanted is not None else BlockDocumentFilter()
    own = Conditions()
    if wanted.id is not None:
        own.any_of("d.id", wanted.id.any_)
    if wanted.is_anonymous is not None and wanted.is_anonymous.eq_ is not None:
        own.add("d.is_anonymous = ?", wanted.is_anonymous.eq_)
    if wanted.block_type_id is not None:
        own.any_of("d.block_type_id", wanted.block_type_id.any_)
    if wanted.name is not None:
        own.any_of("d.name", wanted.name.any_)
        own.contains("d.name", wanted.name.like_)
    found.add(own.joined(wanted.operator), *own.values)
