"""Conditions of filters as SQL text with `?` places, for lists that need no more than one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID


class Conditions:
    """Collects the conditions of one filter. None of a filter's values adds no condition; an empty choice matches nothing."""

    __slots__ = ("_parts", "values")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.values: list[Any] = []

    @property
    def is_empty(self) -> bool:
        """Whether no condition was added."""
        return not self._parts

    def add(self, text: str, *values: Any) -> None:
        """Add a condition with its values in storage form."""
        self._parts.append(text)
        self.values += values

    def any_of(self, column: str, choices: Iterable[UUID | str] | None, *, negated: bool = False, often: bool = False) -> None:
        """Add that `column` is one (or, negated, none) of `choices`.

        `often`: so many rows are that an index of the column is the wrong way to the few that a page shows. PostgreSQL counts for itself.
        """
        if choices is None:
            return
        stored = [choice.bytes if isinstance(choice, UUID) else choice for choice in choices]
        if not stored:
            self.add("TRUE" if negated else "FALSE")
            return
        text = f"{column} {'NOT ' if negated else ''}IN ({', '.join('?' * len(stored))})"
        self.add(f"likely({text})" if often else text, *stored)

    def contains(self, column: str, text: str | None) -> None:
        """Add that `column` contains `text`, upper and lower case alike."""
        if text is not None:
            self.add(f"LOWER({column}) LIKE ? ESCAPE '\\'", f"%{escaped(text.lower())}%")

    def starts(self, column: str, prefixes: Sequence[str] | None, *, negated: bool = False) -> None:
        """Add that `column` begins with one (or, negated, none) of `prefixes`. Upper and lower case differ."""
        if prefixes is None:
            return
        parts = [f"SUBSTR({column}, 1, {len(prefix)}) = ?" for prefix in prefixes]
        self.add(f"{'NOT ' if negated else ''}({' OR '.join(parts) or 'FALSE'})", *prefixes)

    def present(self, column: str, is_present: bool | None) -> None:
        """Add that `column` has a value, or has none."""
        if is_present is not None:
            self.add(f"{column} IS {'NOT ' if is_present else ''}NULL")

    def joined(self, operator: str = "and_") -> str:
        """Return all conditions as one, which is true when there are none."""
        return f"({(' OR ' if operator == 'or_' else ' AND ').join(self._parts)})" if self._parts else "TRUE"


def escaped(text: str) -> str:
    """Return `text` with what LIKE gives a meaning taken literally, under ESCAPE '\\'."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def elements(column: str, alias: str) -> str:
    """Return what stands in FROM for the texts in a column (or place) with a JSON list: one row each, with the column `value`."""
    return f"json_each({column}) {alias}"


def field_of(column: str, name: str) -> str:
    """Return SQL for the text of one field of a column with a JSON object, NULL when there is none."""
    return f"json_extract({column}, '$.{name}')"
