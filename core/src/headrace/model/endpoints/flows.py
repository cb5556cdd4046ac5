"""Flows."""

from __future__ import annotations

from headrace.model.endpoints.base import Endpoint
from headrace.model.flows import Flow, FlowBulkDeleteResponse, FlowCreate, FlowPaginationResponse, FlowUpdate
from headrace.model.run_queries import FlowBulkDelete, FlowPageQuery, FlowQuery, RunScope

CREATE_FLOW: Endpoint[Flow] = Endpoint("POST", "/flows/", "flows", body=FlowCreate, returns=Flow, status=201)
READ_FLOW: Endpoint[Flow] = Endpoint("GET", "/flows/{id}", "flows", returns=Flow)
READ_FLOW_BY_NAME: Endpoint[Flow] = Endpoint("GET", "/flows/name/{name}", "flows", returns=Flow)
UPDATE_FLOW: Endpoint[None] = Endpoint("PATCH", "/flows/{id}", "flows", body=FlowUpdate, status=204)
DELETE_FLOW: Endpoint[None] = Endpoint("DELETE", "/flows/{id}", "flows", status=204)
FILTER_FLOWS: Endpoint[list[Flow]] = Endpoint("POST", "/flows/filter", "flows", body=FlowQuery, returns=list[Flow])
PAGINATE_FLOWS: Endpoint[FlowPaginationResponse] = Endpoint(
    "POST", "/flows/paginate", "flows", body=FlowPageQuery, returns=FlowPaginationResponse
)
COUNT_FLOWS: Endpoint[int] = Endpoint("POST", "/flows/count", "flows", body=RunScope, returns=int)
BULK_DELETE_FLOWS: Endpoint[FlowBulkDeleteResponse] = Endpoint(
    "POST", "/flows/bulk_delete", "flows", body=FlowBulkDelete, returns=FlowBulkDeleteResponse
)
