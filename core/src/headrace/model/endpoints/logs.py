"""Log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.model.endpoints.base import Endpoint
from headrace.model.logs import LogCreate

if TYPE_CHECKING:
    from headrace.model.endpoints.run_queries import (
        FILTER_LOGS,
    )

__all__ = [
    "CREATE_LOGS",
    "FILTER_LOGS",
]

CREATE_LOGS: Endpoint[None] = Endpoint("POST", "/logs/", "logs", body=list[LogCreate], status=201)


def __getattr__(name: str) -> Any:
    """Find the listing endpoints where they stand: their filters are many classes, which running a flow needs not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from headrace.model.endpoints import run_queries

    return getattr(run_queries, name)
