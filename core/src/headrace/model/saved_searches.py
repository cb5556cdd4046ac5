"""Searches that users saved by name, for a user interface to show again."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from headrace.model.base import Action, Body, Model, Record


class SavedSearchFilter(Model):
    """One condition of a search: the property of an object, compared with a value."""

    object: str
    property: str
    type: str
    operation: str
    value: Any


class SavedSearch(Record):
    """A saved search."""

    name: str
    filters: list[SavedSearchFilter] = Field(default_factory=list[SavedSearchFilter])


class SavedSearchCreate(Action):
    """A search to save; it replaces the one of that name."""

    name: str
    filters: list[SavedSearchFilter] = Field(default_factory=list[SavedSearchFilter])


class FilterSavedSearches(Body):
    """Which saved searches to list."""

    offset: int = Field(default=0, ge=0)
    limit: int | None = None
