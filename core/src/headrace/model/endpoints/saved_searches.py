"""Routes of saved searches."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.saved_searches import FilterSavedSearches, SavedSearch, SavedSearchCreate

SAVE_SEARCH: Endpoint[SavedSearch] = Endpoint("PUT", "/saved_searches/", "saved_searches", SavedSearchCreate, SavedSearch, 201)
READ_SAVED_SEARCH: Endpoint[SavedSearch] = Endpoint("GET", "/saved_searches/{id}", "saved_searches", returns=SavedSearch)
DELETE_SAVED_SEARCH: Endpoint[None] = Endpoint("DELETE", "/saved_searches/{id}", "saved_searches", status=204)
FILTER_SAVED_SEARCHES: Endpoint[list[SavedSearch]] = Endpoint(
    "POST", "/saved_searches/filter", "saved_searches", FilterSavedSearches, list[SavedSearch]
)
