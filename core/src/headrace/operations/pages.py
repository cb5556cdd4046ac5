"""How long a page of a list may be."""

from __future__ import annotations

from headrace.model.errors import InvalidRequest
from headrace.settings import get_current_settings


def page_limit(limit: int | None) -> int:
    """Return the length of a page: `limit`, or what the setting `server.api.default_limit` says.

    Raises `InvalidRequest` when more is asked for than that setting allows.
    """
    greatest = get_current_settings().server.api.default_limit
    if limit is None:
        return greatest
    if limit > greatest:
        raise InvalidRequest(f"Invalid limit: must be less than or equal to {greatest}.")
    if limit < 0:
        raise InvalidRequest("Invalid limit: must be greater than or equal to 0.")
    return limit


def pages_of(count: int, limit: int) -> int:
    """Return how many pages of `limit` objects `count` objects fill; none when a page holds none."""
    return -(-count // limit) if limit else 0
