"""How long a page of a list may be."""

from __future__ import annotations

from headrace.model.errors import InvalidRequest

PAGE_LENGTH_MAX = 200


def page_limit(limit: int | None) -> int:
    """Return the length of a page. Raises `InvalidRequest` when more is asked for than a page may hold."""
    if limit is None:
        return PAGE_LENGTH_MAX
    if limit > PAGE_LENGTH_MAX:
        raise InvalidRequest(f"Invalid limit: must be less than or equal to {PAGE_LENGTH_MAX}.")
    if limit < 0:
        raise InvalidRequest("Invalid limit: must be greater than or equal to 0.")
    return limit


def pages_of(count: int, limit: int) -> int:
    """Return how many pages of `limit` objects `count` objects fill; none when a page holds none."""
    return -(-count // limit) if limit else 0
