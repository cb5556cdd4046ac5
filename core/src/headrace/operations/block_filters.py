"""Filters of blocks as conditions on the tables `t` (types), `s` (schemas) and `d` (documents)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from headrace.model.blocks import BlockDocumentFilter, BlockSchemaFilter, BlockTypeFilter
from headrace.model.filters import Operator
from headrace.store.statements.blocks import HAS_CAPABILITY, contains


@dataclass(slots=True)
class Condition:
    """Text for a WHERE clause and the values for its places."""

    parts: list[str] = field(default_factory=list[str])
    values: list[Any] = field(default_factory=list[Any])

    def add(self, text: str, *values: Any) -> None:
        """Demand one more thing."""
        self.parts.append(text)
        self.values.extend(values)

    def one_of(self, column: str, choices: Iterable[Any] | None) -> None:
        """Demand that a column has one of several values; None demands nothing."""
        if choices is not None:
            stored = [choice.bytes if isinstance(choice, UUID) else choice for choice in choices]
            self.add(f"{column} IN ({', '.join('?' * len(stored))})" if stored else "1 = 0", *stored)

    def like(self, column: str, text: str | None) -> None:
        """Demand that a column holds a text, case aside; None demands nothing."""
        if text is not None:
            self.add(f"{column} LIKE ? ESCAPE '!'", contains(text))

    def joined(self, operator: Operator = Operator.and_) -> str:
        """Return the text; "" when nothing is demanded."""
        return "(" + (" AND " if operator is Operator.and_ else " OR ").join(self.parts) + ")" if self.parts else ""


def of_types(wanted: BlockTypeFilter | None) -> Condition:
    """Return the condition for a filter of types."""
    condition = Condition()
    if wanted is not None:
        if wanted.name is not None:
            condition.like("t.name", wanted.name.like_)
        if wanted.slug is not None:
            condition.one_of("t.slug", wanted.slug.any_)
    return condition


def of_schemas(wanted: BlockSchemaFilter | None) -> Condition:
    """Return the condition for a filter of schemas."""
    condition = Condition()
    if wanted is None:
        return condition
    if wanted.block_type_id is not None:
        condition.one_of("s.block_type_id", wanted.block_type_id.any_)
    if wanted.block_capabilities is not None and wanted.block_capabilities.all_:
        capabilities = wanted.block_capabilities.all_
        condition.add("(" + " AND ".join([HAS_CAPABILITY] * len(capabilities)) + ")", *capabilities)
    if wanted.id is not None:
        condition.one_of("s.id", wanted.id.any_)
    if wanted.version is not None:
        condition.one_of("s.version", wanted.version.any_)
    return condition


def of_documents(wanted: BlockDocumentFilter | None) -> Condition:
    """Return the condition for a filter of documents; without one, those that have a name of the user's."""
    wanted = wanted if wanted is not None else BlockDocumentFilter()
    condition = Condition()
    if wanted.id is not None:
        condition.one_of("d.id", wanted.id.any_)
    if wanted.is_anonymous is not None and wanted.is_anonymous.eq_ is not None:
        condition.add("d.is_anonymous = ?", wanted.is_anonymous.eq_)
    if wanted.block_type_id is not None:
        condition.one_of("d.block_type_id", wanted.block_type_id.any_)
    if wanted.name is not None:
        condition.one_of("d.name", wanted.name.any_)
        condition.like("d.name", wanted.name.like_)
    return condition


def where(conditions: Sequence[tuple[Condition, Operator]]) -> tuple[str, list[Any]]:
    """Return the WHERE clause that demands every condition, and its values."""
    texts = [text for condition, operator in conditions if (text := condition.joined(operator))]
    values = [value for condition, _ in conditions for value in condition.values]
    return (f" WHERE {' AND '.join(texts)}" if texts else ""), values
