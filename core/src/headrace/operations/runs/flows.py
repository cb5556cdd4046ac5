"""Flows: registered by name, listed, changed, deleted with all their runs."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids
from headrace.model.endpoints import flows as endpoints
from headrace.model.errors import ObjectNotFound, StoreContention
from headrace.model.flows import Flow, FlowCreate, FlowUpdate
from headrace.operations.events.lifecycle import tell
from headrace.operations.runs import deletion
from headrace.operations.runs.encoding import flow_out
from headrace.operations.table import Operation
from headrace.store.codec import json_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def create_flow(tx: Transaction, body: FlowCreate) -> Flow:
    """Return the flow of that name, as it is if it exists, else newly made."""
    found = tx.sql_one(statements.SELECT_FLOW_BY_NAME, (body.name,))
    if found is None:
        now = clock.now_us()
        found = (ids.new().bytes, now, now, body.name, json_in(body.tags or None), json_in(body.labels or None))
        if not tx.sql_count(statements.INSERT_FLOW, found):
            raise StoreContention(f"Another server makes the flow {body.name!r} at this moment.")  # its own is found at the next try
        tell(tx, "flow", "created", flow_out(found))
    else:
        tx.status = 200
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
    if tx.caller.is_server:
        tell(tx, "flow", "updated", read_flow(tx, id=id))


def delete_flow(tx: Transaction, *, id: UUID) -> None:
    """Delete a flow and all its runs. Raises `ObjectNotFound`."""
    if tx.sql_one(statements.SELECT_FLOW, (id.bytes,)) is None:
        raise _missing(id)
    deletion.delete_flow(tx, id.bytes)


def _missing(id: UUID) -> ObjectNotFound:
    return ObjectNotFound(help_message=f"Flow not found: no flow has the id {id}.")


OPERATIONS = {
    endpoints.CREATE_FLOW: Operation(create_flow, writes=True),
    endpoints.READ_FLOW: Operation(read_flow, writes=False),
    endpoints.READ_FLOW_BY_NAME: Operation(read_flow_by_name, writes=False),
    endpoints.UPDATE_FLOW: Operation(update_flow, writes=True),
    endpoints.DELETE_FLOW: Operation(delete_flow, writes=True),
}
