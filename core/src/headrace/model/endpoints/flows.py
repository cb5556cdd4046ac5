"""Flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.model.endpoints.base import Endpoint
from headrace.model.flows import Flow, FlowCreate, FlowUpdate

if TYPE_CHECKING:
    from headrace.model.endpoints.run_queries import (
        BULK_DELETE_FLOWS,
        COUNT_FLOWS,
        FILTER_FLOWS,
        PAGINATE_FLOWS,
    )

__all__ = [
    "BULK_DELETE_FLOWS",
    "COUNT_FLOWS",
    "CREATE_FLOW",
    "DELETE_FLOW",
    "FILTER_FLOWS",
    "PAGINATE_FLOWS",
    "READ_FLOW",
    "READ_FLOW_BY_NAME",
    "UPDATE_FLOW",
]

CREATE_FLOW: Endpoint[Flow] = Endpoint("POST", "/flows/", "flows", body=FlowCreate, returns=Flow, status=201)
READ_FLOW: Endpoint[Flow] = Endpoint("GET", "/flows/{id}", "flows", returns=Flow)
READ_FLOW_BY_NAME: Endpoint[Flow] = Endpoint("GET", "/flows/name/{name}", "flows", returns=Flow)
UPDATE_FLOW: Endpoint[None] = Endpoint("PATCH", "/flows/{id}", "flows", body=FlowUpdate, status=204)
DELETE_FLOW: Endpoint[None] = Endpoint("DELETE", "/flows/{id}", "flows", status=204)


def __getattr__(name: str) -> Any:
    """Find the listing endpoints where they stand: their filters are many classes, which running a flow needs not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from headrace.model.endpoints import run_queries

    return getattr(run_queries, name)
