"""Saved searches: kept by name, read, listed, deleted."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids
from headrace.model.endpoints import saved_searches as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.saved_searches import FilterSavedSearches, SavedSearch, SavedSearchCreate, SavedSearchFilter
from headrace.operations.pages import page_limit
from headrace.operations.table import Operation
from headrace.store.codec import json_in, json_out
from headrace.store.database import Row, Transaction

_SELECT = "SELECT id, created, updated, name, filters FROM saved_search"


def _search(row: Row) -> SavedSearch:
    filters = [SavedSearchFilter(**given) for given in json_out(row[4])]
    return SavedSearch(id=UUID(bytes=row[0]), created=clock.from_us(row[1]), updated=clock.from_us(row[2]), name=row[3], filters=filters)


def save_search(tx: Transaction, body: SavedSearchCreate) -> SavedSearch:
    """Save a search, in place of the one of that name if there is one."""
    now, filters = clock.now_us(), json_in([one.model_dump(mode="json") for one in body.filters])
    if tx.sql_count("UPDATE saved_search SET filters = ?, updated = ? WHERE name = ?", (filters, now, body.name)):
        tx.status = 200
    else:
        tx.sql_count(
            "INSERT INTO saved_search (id, created, updated, name, filters) VALUES (?, ?, ?, ?, ?)", (ids.new().bytes, now, now, body.name, filters)
        )
    return _search(tx.sql(f"{_SELECT} WHERE name = ?", (body.name,))[0])


def read_saved_search(tx: Transaction, *, id: UUID) -> SavedSearch:
    """Return a saved search. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{_SELECT} WHERE id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound("Saved search not found")
    return _search(row)


def delete_saved_search(tx: Transaction, *, id: UUID) -> None:
    """Delete a saved search. Raises `ObjectNotFound`."""
    if not tx.sql_count("DELETE FROM saved_search WHERE id = ?", (id.bytes,)):
        raise ObjectNotFound("Saved search not found")


def filter_saved_searches(tx: Transaction, body: FilterSavedSearches) -> list[SavedSearch]:
    """List saved searches by name."""
    return [_search(row) for row in tx.sql(f"{_SELECT} ORDER BY name LIMIT ? OFFSET ?", (page_limit(body.limit), body.offset))]


OPERATIONS = {
    endpoints.SAVE_SEARCH: Operation(save_search, writes=True),
    endpoints.READ_SAVED_SEARCH: Operation(read_saved_search, writes=False),
    endpoints.DELETE_SAVED_SEARCH: Operation(delete_saved_search, writes=True),
    endpoints.FILTER_SAVED_SEARCHES: Operation(filter_saved_searches, writes=False),
}
