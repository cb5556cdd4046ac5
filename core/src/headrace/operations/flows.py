"""Flows: registered by name, listed, changed, deleted with all their runs."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids
from headrace.model.endpoints import flows as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.flows import Flow, FlowBulkDeleteResponse, FlowCreate, FlowPaginationResponse, FlowSort, FlowUpdate
from headrace.model.run_queries import FlowBulkDelete, FlowPageQuery, FlowQuery, RunScope
from headrace.operations.deletion import delete_flow_runs
from headrace.operations.encoding import flow_out
from headrace.operations.pages import page_limit, pages_of
from headrace.operations.run_conditions import scope_of_flows
from headrace.operations.table import Operation
from headrace.store.codec import json_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

_ORDERS = {
    FlowSort.CREATED_DESC: "f.created DESC, f.id DESC",
    FlowSort.UPDATED_DESC: "f.updated DESC, f.id DESC",
    FlowSort.NAME_ASC: "f.name",
    FlowSort.NAME_DESC: "f.name DESC",
}


def create_flow(tx: Transaction, body: FlowCreate) -> Flow:
    """Return the flow of that name, as it is if it exists, else newly made."""
    found = tx.sql_one(statements.SELECT_FLOW_BY_NAME, (body.name,))
    if found is None:
        now = clock.now_us()
        found = (ids.new().bytes, now, now, body.name, json_in(body.tags or None), json_in(body.labels or None))
        tx.sql(statements.INSERT_FLOW, found)
    return flow_out(found)


def read_flow(tx: Transaction, *, id: UUID) -> Flow:
    """Return a flow. Raises `ObjectNotFound`."""
    found = tx.sql_one(statements.SELECT_FLOW, (id.bytes,))
    if found is None:
        raise _missing(id)
    return flow_out(found)


def read_flow_by_name(tx: Transaction, *, name: str) -> Flow:
    """Return the flow of that name. Raises `ObjectNotFound`."""
    found = tx.sql_one(statements.SELECT_FLOW_BY_NAME, (name,))
    if found is None:
        raise ObjectNotFound(help_message=f"Flow not found: no flow is named {name!r}.")
    return flow_out(found)


def update_flow(tx: Transaction, body: FlowUpdate, *, id: UUID) -> None:
    """Replace the tags of a flow. Raises `ObjectNotFound`."""
    if not tx.sql_count("UPDATE flow SET tags = ?, updated = ? WHERE id = ?", (json_in(body.tags or None), clock.now_us(), id.bytes)):
        raise _missing(id)


def delete_flow(tx: Transaction, *, id: UUID) -> None:
    """Delete a flow and all its runs. Raises `ObjectNotFound`."""
    if tx.sql_one(statements.SELECT_FLOW, (id.bytes,)) is None:
        raise _missing(id)
    _delete(tx, id.bytes)


def bulk_delete_flows(tx: Transaction, body: FlowBulkDelete) -> FlowBulkDeleteResponse:
    """Delete the flows that match, at most `limit`, with all their runs."""
    where = scope_of_flows(RunScope(flows=body.flows), "f")
    found = tx.sql(f"SELECT f.id FROM flow f WHERE {where.joined()} ORDER BY f.name LIMIT ?", (*where.values, body.limit))
    for (key,) in found:
        _delete(tx, key)
    return FlowBulkDeleteResponse(deleted=[UUID(bytes=key) for (key,) in found])


def filter_flows(tx: Transaction, body: FlowQuery) -> list[Flow]:
    """List flows."""
    return _list(tx, body, body.sort, page_limit(body.limit), body.offset)


def count_flows(tx: Transaction, body: RunScope) -> int:
    """Count flows."""
    where = scope_of_flows(body, "f")
    found = tx.sql_one(f"SELECT COUNT(*) FROM flow f WHERE {where.joined()}", where.values)
    return found[0] if found is not None else 0


def paginate_flows(tx: Transaction, body: FlowPageQuery) -> FlowPaginationResponse:
    """List one page of flows and say how many there are."""
    limit = page_limit(body.limit)
    count = count_flows(tx, body)
    results = _list(tx, body, body.sort, limit, (body.page - 1) * limit)
    return FlowPaginationResponse.model_construct(results=results, count=count, limit=limit, pages=pages_of(count, limit), page=body.page)


def _list(tx: Transaction, scope: RunScope, sort: FlowSort, limit: int, offset: int) -> list[Flow]:
    where = scope_of_flows(scope, "f")
    columns = ", ".join(f"f.{name}" for name in statements.FLOW_COLUMNS)
    text = f"SELECT {columns} FROM flow f WHERE {where.joined()} ORDER BY {_ORDERS[sort]} LIMIT ? OFFSET ?"
    return [flow_out(row) for row in tx.sql(text, (*where.values, limit, offset))]


def _delete(tx: Transaction, key: bytes) -> None:
    delete_flow_runs(tx, [run for (run,) in tx.sql("SELECT id FROM flow_run WHERE flow_id = ?", (key,))])
    tx.sql("DELETE FROM flow WHERE id = ?", (key,))


def _missing(id: UUID) -> ObjectNotFound:
    return ObjectNotFound(help_message=f"Flow not found: no flow has the id {id}.")


OPERATIONS = {
    endpoints.CREATE_FLOW: Operation(create_flow, writes=True),
    endpoints.READ_FLOW: Operation(read_flow, writes=False),
    endpoints.READ_FLOW_BY_NAME: Operation(read_flow_by_name, writes=False),
    endpoints.UPDATE_FLOW: Operation(update_flow, writes=True),
    endpoints.DELETE_FLOW: Operation(delete_flow, writes=True),
    endpoints.FILTER_FLOWS: Operation(filter_flows, writes=False),
    endpoints.PAGINATE_FLOWS: Operation(paginate_flows, writes=False),
    endpoints.COUNT_FLOWS: Operation(count_flows, writes=False),
    endpoints.BULK_DELETE_FLOWS: Operation(bulk_delete_flows, writes=True),
}
