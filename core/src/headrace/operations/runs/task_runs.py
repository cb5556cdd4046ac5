"""Task runs: created, read, listed, changed, deleted, moved from state to state."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids, names
from headrace.model.endpoints import task_runs as endpoints
from headrace.model.errors import ObjectNotFound, StoreContention
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.states import StateType
from headrace.model.task_runs import TaskRun, TaskRunCreate, TaskRunUpdate
from headrace.operations.runs import transitions
from headrace.operations.runs.deletion import delete_task_run as delete_rows
from headrace.operations.runs.encoding import details_in, own, status_of
from headrace.operations.runs.task_encoding import task_run_out
from headrace.operations.table import Operation
from headrace.store.codec import id_in, json_in, json_out, time_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def create_task_run(tx: Transaction, body: TaskRunCreate) -> TaskRun:
    """Return the task run of that flow run, task key and dynamic key (or id): as it is if it exists, else newly made."""
    key = (body.task_key, body.dynamic_key)
    if body.flow_run_id is None:
        found = tx.sql_one(statements.SELECT_LONE_TASK_RUN_BY_KEY, key)
    else:
        tx.lock("flow_run", "id", [body.flow_run_id.bytes])  # the same run may be proposed twice at once
        found = tx.sql_one(statements.SELECT_TASK_RUN_BY_KEY, (body.flow_run_id.bytes, *key))
    if found is None and body.id is not None:
        found = tx.sql_one(statements.SELECT_TASK_RUN, (body.id.bytes,))
    if found is not None:
        tx.status = 200
        return task_run_out(found, clock.now_us())
    run_id = body.id or ids.new()
    now = clock.now_us()
    state, books = transitions.first_state(tx, "task_run", run_id, body.state, now)
    inputs = {name: [source.model_dump(mode="json") for source in sources] for name, sources in body.task_inputs.items()}
    row = (
        run_id.bytes,
        now,
        now,
        id_in(body.flow_run_id),
        body.name or names.invent(),
        body.task_key,
        body.dynamic_key,
        state.id.bytes,
        state.type.value,
        state.name,
        now,
        books.run_count,
        0,
        books.expected_start_time,
        books.next_scheduled_start_time,
        books.start_time,
        books.end_time,
        books.total_run_time,
        json_in(body.tags or None),
        json_in(_labels(tx, body) or None),
        json_in(inputs or None),
        own(body.empirical_policy),
        body.cache_key,
        time_in(body.cache_expiration),
        body.task_version,
    )
    if not tx.sql_count(statements.INSERT_TASK_RUN, row):
        raise StoreContention(f"Another server makes the task run {run_id} at this moment.")  # it is found at the next try
    if state.state_details.deferred and state.type is StateType.SCHEDULED:
        transitions.queue_background_run(tx, run_id, state)
    return task_run_out((*row, state.message, json_in(state.data), details_in(state.state_details)), now)


def read_task_run(tx: Transaction, *, id: UUID) -> TaskRun:
    """Return a task run with its state. Raises `ObjectNotFound`."""
    found = tx.sql_one(statements.SELECT_TASK_RUN, (id.bytes,))
    if found is None:
        raise ObjectNotFound(help_message=f"Task not found: no task run has the id {id}.")
    return task_run_out(found, clock.now_us())


def update_task_run(tx: Transaction, body: TaskRunUpdate, *, id: UUID) -> None:
    """Rename a task run. Raises `ObjectNotFound`."""
    if not tx.sql_count("UPDATE task_run SET name = ?, updated = ? WHERE id = ?", (body.name, clock.now_us(), id.bytes)):
        raise ObjectNotFound(help_message=f"Task run not found: no task run has the id {id}.")


def delete_task_run(tx: Transaction, *, id: UUID) -> None:
    """Delete a task run with its states and logs. Raises `ObjectNotFound`."""
    if not delete_rows(tx, id.bytes):
        raise ObjectNotFound(help_message=f"Task not found: no task run has the id {id}.")


def set_task_run_state(tx: Transaction, body: SetState, *, id: UUID) -> OrchestrationResult:
    """Propose a state for a task run. Raises `ObjectNotFound`."""
    began = clock.now_us()
    result = transitions.set_task_run_state(tx, id, body)
    tx.status = status_of(result, began)
    return result


def _labels(tx: Transaction, body: TaskRunCreate) -> dict[str, object]:
    """Return the labels of the flow run, the ids of flow and flow run, and the given ones, the later winning."""
    if body.flow_run_id is None:
        return dict(body.labels or {})
    row = tx.sql_one("SELECT flow_id, labels FROM flow_run WHERE id = ?", (body.flow_run_id.bytes,))
    if row is None:
        return dict(body.labels or {})
    around: dict[str, object] = {"prefect.flow.id": str(UUID(bytes=row[0])), **(json_out(row[1]) or {}), "prefect.flow-run.id": str(body.flow_run_id)}
    return {**around, **(body.labels or {})}


OPERATIONS = {
    endpoints.CREATE_TASK_RUN: Operation(create_task_run, writes=True),
    endpoints.READ_TASK_RUN: Operation(read_task_run, writes=False),
    endpoints.UPDATE_TASK_RUN: Operation(update_task_run, writes=True),
    endpoints.DELETE_TASK_RUN: Operation(delete_task_run, writes=True),
    endpoints.SET_TASK_RUN_STATE: Operation(set_task_run_state, writes=True),
}
