"""Flow runs: created, read, listed, changed, deleted, moved from state to state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.model import clock, ids, names
from headrace.model.endpoints import flow_runs as endpoints
from headrace.model.errors import InvalidRequest, ObjectNotFound, StoreContention
from headrace.model.flow_runs import (
    FlowRun,
    FlowRunCreate,
    FlowRunUpdate,
)
from headrace.model.orchestration import (
    OrchestrationResult,
    ResumeRun,
    SetState,
)
from headrace.operations.runs import transitions
from headrace.operations.runs.deletion import delete_flow_runs
from headrace.operations.runs.encoding import details_in, flow_run_out, own, status_of
from headrace.operations.table import Operation
from headrace.operations.upkeep.signs_of_life import note_owner
from headrace.store.codec import id_in, json_in, json_out
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

if TYPE_CHECKING:
    from headrace.model.work_queues import WorkQueue


def create_flow_run(tx: Transaction, body: FlowRunCreate, *, owner: UUID | None = None) -> FlowRun:
    """Create a run in its first state, Pending unless the body says otherwise; a repeated idempotency key answers the first run.

    A named work pool or queue is where it waits for a worker. `owner` is the process that runs it, if one does. Raises `InvalidRequest` when
    there is no such flow, `ObjectNotFound` for a pool that does not exist.
    """
    if body.idempotency_key is not None:
        found = tx.sql_one(statements.SELECT_FLOW_RUN_BY_KEY, (body.flow_id.bytes, body.idempotency_key))
        if found is not None:
            tx.status = 200
            return flow_run_out(found, clock.now_us())
    flow = tx.sql_one("SELECT labels FROM flow WHERE id = ?", (body.flow_id.bytes,))
    if flow is None:
        raise InvalidRequest(f"No flow has the id {body.flow_id}, so no run of it can be created. Create the flow first.", status=409)
    queue = _queue(tx, body) if body.work_pool_name or body.work_queue_name else None
    version = None
    if body.deployment_id is not None:
        deployment = tx.sql_one("SELECT version FROM deployment WHERE id = ?", (body.deployment_id.bytes,))
        version = deployment[0] if deployment is not None else None
    labels: dict[str, Any] = {**(json_out(flow[0]) or {}), **(body.labels or {})}
    note_owner(tx, owner)
    return insert_flow_run(tx, body, labels, queue, version, json_in(tx.caller.created_by), owner=owner)


def insert_flow_run(
    tx: Transaction,
    body: FlowRunCreate,
    labels: dict[str, Any],
    queue: WorkQueue | None,
    deployment_version: str | None,
    created_by: str | None,
    *,
    owner: UUID | None = None,
) -> FlowRun:
    """Store a run whose flow exists and whose idempotency key is new, with all its labels, in its first state."""
    run_id = ids.new()
    now = clock.now_us()
    state, books = transitions.first_state(tx, "flow_run", run_id, body.state, now)
    row = (
        run_id.bytes,
        now,
        now,
        body.flow_id.bytes,
        body.name or names.invent(),
        state.id.bytes,
        state.type.value,
        state.name,
        now,
        books.run_count,
        books.expected_start_time,
        books.next_scheduled_start_time,
        books.start_time,
        books.end_time,
        books.total_run_time,
        json_in(body.parameters or None),
        json_in(body.context or None),
        json_in(body.tags or None),
        json_in(labels or None),
        own(body.empirical_policy),
        id_in(body.parent_task_run_id),
        id_in(owner),
        body.flow_version,
        body.idempotency_key,
        id_in(body.deployment_id),
        deployment_version,
        queue and queue.id.bytes,
        queue and queue.name,
        queue and id_in(queue.work_pool_id),
        queue and queue.work_pool_name,
        0,
        id_in(body.infrastructure_document_id),
        None,
        json_in(body.job_variables),
        created_by,
    )
    if not tx.sql_count(statements.INSERT_FLOW_RUN, row):
        raise StoreContention(f"Another server makes the run with the idempotency key {body.idempotency_key!r} at this moment.")  # found next time
    if tx.caller.is_server:
        from headrace.operations.events.run_events import tell_flow_run_state

        tell_flow_run_state(tx, run_id, None, state)
    return flow_run_out((*row, state.message, json_in(state.data), details_in(state.state_details)), now)


def _queue(tx: Transaction, body: FlowRunCreate) -> WorkQueue | None:
    from headrace.operations.pools.work_queues import ensure_queue

    return ensure_queue(tx, body.work_pool_name, body.work_queue_name)


def read_flow_run(tx: Transaction, *, id: UUID) -> FlowRun:
    """Return a flow run with its state. Raises `ObjectNotFound`."""
    found = tx.sql_one(statements.SELECT_FLOW_RUN, (id.bytes,))
    if found is None:
        raise _missing(id)
    return flow_run_out(found, clock.now_us())


def update_flow_run(tx: Transaction, body: FlowRunUpdate, *, id: UUID) -> None:
    """Write the fields that are set. Raises `ObjectNotFound`, and `InvalidRequest` for job variables of a run that is not scheduled."""
    given = body.model_fields_set
    values: dict[str, Any] = {
        "name": body.name,
        "flow_version": body.flow_version,
        "parameters": json_in(body.parameters or None),
        "empirical_policy": own(body.empirical_policy),
        "tags": json_in(body.tags or None),
        "infrastructure_pid": body.infrastructure_pid,
        "job_variables": json_in(body.job_variables),
    }
    changed = {key: value for key, value in values.items() if key in given and not (key == "name" and value is None)}
    row = tx.sql_one("SELECT state_type, deployment_id FROM flow_run WHERE id = ?", (id.bytes,))
    if row is None:
        raise _missing(id)
    if "job_variables" in changed:
        if row[0] != "SCHEDULED":
            raise InvalidRequest(f"Job variables for a flow run in state {row[0]} cannot be updated: it is scheduled no more.", status=400)
        if row[1] is None:
            raise InvalidRequest("A deployment for the flow run could not be found, so its job variables mean nothing.", status=400)
        _check_job_variables(tx, row[1], body.job_variables or {})
    changed["updated"] = clock.now_us()
    tx.sql(f"UPDATE flow_run SET {', '.join(f'{key} = ?' for key in changed)} WHERE id = ?", (*changed.values(), id.bytes))


def _check_job_variables(tx: Transaction, deployment: bytes, variables: dict[str, Any]) -> None:
    from headrace.operations.pools.job_templates import check_job_variables
    from headrace.operations.pools.pool_rows import pool_of_deployment

    found = pool_of_deployment(tx, deployment)
    if found is not None:
        pool, own_variables = found
        check_job_variables(tx, pool, {**own_variables, **variables}, complete=True, doing="updating flow run")


def update_flow_run_labels(tx: Transaction, body: dict[str, Any], *, id: UUID) -> None:
    """Add labels to those that the run has, or replace their values. Raises `ObjectNotFound`."""
    tx.lock("flow_run", "id", [id.bytes])
    row = tx.sql_one("SELECT labels FROM flow_run WHERE id = ?", (id.bytes,))
    if row is None:
        raise _missing(id)
    labels: dict[str, Any] = {**(json_out(row[0]) or {}), **body}
    tx.sql("UPDATE flow_run SET labels = ?, updated = ? WHERE id = ?", (json_in(labels), clock.now_us(), id.bytes))


def delete_flow_run(tx: Transaction, *, id: UUID) -> None:
    """Delete a flow run with its states, task runs, inputs and logs. Raises `ObjectNotFound`."""
    if tx.sql_one("SELECT 1 FROM flow_run WHERE id = ?", (id.bytes,)) is None:
        raise _missing(id)
    delete_flow_runs(tx, [id.bytes])


def set_flow_run_state(tx: Transaction, body: SetState, *, id: UUID, owner: UUID | None = None, claim: UUID | None = None) -> OrchestrationResult:
    """Propose a state for a flow run. Raises `ObjectNotFound`. `owner` is the process that runs it from now on, if one does.

    `claim` is the id of the state by which a worker took the run: a process that was started for it must not go on with a run taken again since.
    """
    began = clock.now_us()
    note_owner(tx, owner)
    result = transitions.set_flow_run_state(tx, id, body, owner, claim)
    tx.status = status_of(result, began)
    return result


def resume_flow_run(tx: Transaction, body: ResumeRun, *, id: UUID) -> OrchestrationResult:
    """Let a paused run go on, with inputs if it waits for some. Raises `ObjectNotFound`."""
    from headrace.operations.runs import resuming

    began = clock.now_us()
    result = resuming.resume(tx, id, body.run_input)
    tx.status = status_of(result, began)
    return result


def _missing(id: UUID) -> ObjectNotFound:
    return ObjectNotFound(help_message=f"Flow run not found: no flow run has the id {id}.")


OPERATIONS = {
    endpoints.CREATE_FLOW_RUN: Operation(create_flow_run, writes=True),
    endpoints.READ_FLOW_RUN: Operation(read_flow_run, writes=False),
    endpoints.UPDATE_FLOW_RUN: Operation(update_flow_run, writes=True),
    endpoints.UPDATE_FLOW_RUN_LABELS: Operation(update_flow_run_labels, writes=True),
    endpoints.DELETE_FLOW_RUN: Operation(delete_flow_run, writes=True),
    endpoints.SET_FLOW_RUN_STATE: Operation(set_flow_run_state, writes=True),
    endpoints.RESUME_FLOW_RUN: Operation(resume_flow_run, writes=True),
}
