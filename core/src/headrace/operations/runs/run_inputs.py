"""Inputs of flow runs: texts under keys that are unique in the run, listed in the order in which they arrived."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids
from headrace.model.endpoints import run_inputs as endpoints
from headrace.model.errors import ObjectAlreadyExists, ObjectNotFound, StoreConflict
from headrace.model.run_inputs import FilterFlowRunInputs, FlowRunInput, FlowRunInputCreate
from headrace.operations.conditions import Conditions, elements
from headrace.operations.pages import page_limit
from headrace.operations.table import Operation
from headrace.store.codec import json_in
from headrace.store.database import Transaction


def create_flow_run_input(tx: Transaction, body: FlowRunInputCreate, *, id: UUID) -> None:
    """Store an input. Raises `ObjectNotFound` when there is no such run, `ObjectAlreadyExists` when the key is taken."""
    if tx.sql_one("SELECT 1 FROM flow_run WHERE id = ?", (id.bytes,)) is None:
        raise ObjectNotFound("Flow run not found")
    now = clock.to_us(clock.now())
    try:
        tx.sql_count(
            "INSERT INTO flow_run_input (id, created, updated, flow_run_id, key, value, sender) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (ids.new().bytes, now, now, id.bytes, body.key, body.value, body.sender),
        )
    except StoreConflict as error:
        raise ObjectAlreadyExists("A flow run input with this key already exists.") from error


def filter_flow_run_input(tx: Transaction, body: FilterFlowRunInputs, *, id: UUID) -> list[FlowRunInput]:
    """List a run's inputs whose key begins so, the oldest first."""
    where = Conditions()
    where.add("flow_run_id = ? AND key >= ?", id.bytes, body.prefix)
    where.starts("key", [body.prefix])
    if body.exclude_keys:  # a receiver may have seen more than a statement can have places
        where.add(f"key NOT IN (SELECT x.value FROM {elements('?', 'x')})", json_in(body.exclude_keys))
    rows = tx.sql(
        f"SELECT id, created, updated, key, value, sender FROM flow_run_input WHERE {where.joined()} ORDER BY created, id LIMIT ?",
        (*where.values, page_limit(body.limit)),
    )
    return [
        FlowRunInput(
            id=UUID(bytes=row[0]),
            created=clock.from_us(row[1]),
            updated=clock.from_us(row[2]),
            flow_run_id=id,
            key=row[3],
            value=row[4],
            sender=row[5],
        )
        for row in rows
    ]


def read_flow_run_input(tx: Transaction, *, id: UUID, key: str) -> str:
    """Return the stored text as it is. Raises `ObjectNotFound`."""
    row = tx.sql_one("SELECT value FROM flow_run_input WHERE flow_run_id = ? AND key = ?", (id.bytes, key))
    if row is None:
        raise ObjectNotFound("Flow run input not found")
    return row[0]


def delete_flow_run_input(tx: Transaction, *, id: UUID, key: str) -> None:
    """Delete an input. Raises `ObjectNotFound`."""
    if not tx.sql_count("DELETE FROM flow_run_input WHERE flow_run_id = ? AND key = ?", (id.bytes, key)):
        raise ObjectNotFound("Flow run input not found")


OPERATIONS = {
    endpoints.CREATE_FLOW_RUN_INPUT: Operation(create_flow_run_input, writes=True),
    endpoints.FILTER_FLOW_RUN_INPUT: Operation(filter_flow_run_input, writes=False),
    endpoints.READ_FLOW_RUN_INPUT: Operation(read_flow_run_input, writes=False),
    endpoints.DELETE_FLOW_RUN_INPUT: Operation(delete_flow_run_input, writes=True),
}
