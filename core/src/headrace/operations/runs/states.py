"""The states that runs went through."""

from __future__ import annotations

from uuid import UUID

from headrace.model.endpoints import states as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.states import State
from headrace.operations.runs.encoding import state_out
from headrace.operations.table import Operation
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def read_flow_run_state(tx: Transaction, *, id: UUID) -> State:
    """Return one state of a flow run. Raises `ObjectNotFound`."""
    found = tx.sql_one(statements.SELECT_FLOW_RUN_STATE, (id.bytes,))
    if found is None:
        raise ObjectNotFound(help_message=f"State not found: no flow run had a state with the id {id}.")
    return state_out(found, of_task_run=False)


def read_flow_run_states(tx: Transaction, *, flow_run_id: UUID) -> list[State]:
    """List the states of a flow run, oldest first."""
    return [state_out(row, of_task_run=False) for row in tx.sql(statements.SELECT_FLOW_RUN_STATES, (flow_run_id.bytes,))]


def read_task_run_state(tx: Transaction, *, id: UUID) -> State:
    """Return one state of a task run. Raises `ObjectNotFound`."""
    made_by_then = id.bytes[:6] + b"\xff" * 10  # ids grow with time: the run's is not greater than its state's, and most likely not far from it
    found = tx.sql_one(statements.SELECT_TASK_RUN_STATE_BACKWARDS, (made_by_then, id.bytes))
    if found is None:
        found = tx.sql_one(statements.SELECT_TASK_RUN_STATE, (id.bytes,))  # a foreign client may make ids of other kinds
    if found is None:
        raise ObjectNotFound(help_message=f"State not found: no task run had a state with the id {id}.")
    return state_out(found, of_task_run=True)


def read_task_run_states(tx: Transaction, *, task_run_id: UUID) -> list[State]:
    """List the states of a task run, oldest first."""
    return [state_out(row, of_task_run=True) for row in tx.sql(statements.SELECT_TASK_RUN_STATES, (task_run_id.bytes,))]


OPERATIONS = {
    endpoints.READ_FLOW_RUN_STATE: Operation(read_flow_run_state, writes=False),
    endpoints.READ_FLOW_RUN_STATES: Operation(read_flow_run_states, writes=False),
    endpoints.READ_TASK_RUN_STATE: Operation(read_task_run_state, writes=False),
    endpoints.READ_TASK_RUN_STATES: Operation(read_task_run_states, writes=False),
}
