"""Flow runs: created, read, changed, moved from state to state."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids, names
from headrace.model.endpoints import flow_runs as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.flow_runs import FlowRun, FlowRunCreate
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.run_queries import FlowRunQuery
from headrace.model.states import StateCreate, StateType
from headrace.operations import transitions
from headrace.operations.encoding import flow_run_out, own
from headrace.operations.table import Operation
from headrace.store.codec import id_in, json_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def create_flow_run(tx: Transaction, body: FlowRunCreate, *, owner: UUID | None = None) -> FlowRun:
    """Create a run in its first state, Pending unless the body says otherwise; a repeated idempotency key answers the first run.

    `owner` is the process that runs it, if one does.
    """
    if body.idempotency_key is not None:
        found = tx.sql_one(statements.SELECT_FLOW_RUN_BY_KEY, (body.flow_id.bytes, body.idempotency_key))
        if found is not None:
            return flow_run_out(found, clock.now_us())
    flow = tx.sql_one("SELECT labels FROM flow WHERE id = ?", (body.flow_id.bytes,))
    if flow is None:
        raise ObjectNotFound(help_message=f"Flow not found: no flow has the id {body.flow_id}, so no run of it can be created.")
    run_id = ids.new()
    now = clock.now_us()
    values: dict[str, object] = dict.fromkeys(statements.FLOW_RUN_COLUMNS)
    values.update(
        id=run_id.bytes,
        created=now,
        updated=now,
        flow_id=body.flow_id.bytes,
        name=body.name or names.invent(),
        run_count=0,
        total_run_time=0,
        auto_scheduled=0,
        parameters=json_in(body.parameters or None),
        context=json_in(body.context or None),
        tags=json_in(body.tags or None),
        labels=json_in(body.labels or None),
        empirical_policy=own(body.empirical_policy),
        parent_task_run_id=id_in(body.parent_task_run_id),
        owner_id=id_in(owner),
        flow_version=body.flow_version,
        idempotency_key=body.idempotency_key,
        deployment_id=id_in(body.deployment_id),
        infrastructure_document_id=id_in(body.infrastructure_document_id),
        job_variables=json_in(body.job_variables),
    )
    tx.sql(statements.INSERT_FLOW_RUN, tuple(values.values()))
    transitions.set_state(tx, "flow_run", run_id, SetState(state=body.state or StateCreate(type=StateType.PENDING), force=True), owner)
    return read_flow_run(tx, id=run_id)


def read_flow_run(tx: Transaction, *, id: UUID) -> FlowRun:
    """Return a flow run with its state. Raises `ObjectNotFound`."""
    found = tx.sql_one(statements.SELECT_FLOW_RUN, (id.bytes,))
    if found is None:
        raise ObjectNotFound(help_message=f"Flow run not found: no flow run has the id {id}.")
    return flow_run_out(found, clock.now_us())


def set_flow_run_state(tx: Transaction, body: SetState, *, id: UUID, owner: UUID | None = None) -> OrchestrationResult:
    """Propose a state for a flow run."""
    return transitions.set_state(tx, "flow_run", id, body, owner)


def filter_flow_runs(tx: Transaction, body: FlowRunQuery) -> list[FlowRun]:
    """List flow runs."""
    now = clock.now_us()
    return [flow_run_out(row, now) for row in tx.sql(statements.SELECT_FLOW_RUNS + " ORDER BY r.id DESC LIMIT 200")]


OPERATIONS = {
    endpoints.CREATE_FLOW_RUN: Operation(create_flow_run, writes=True),
    endpoints.READ_FLOW_RUN: Operation(read_flow_run, writes=False),
    endpoints.SET_FLOW_RUN_STATE: Operation(set_flow_run_state, writes=True),
    endpoints.FILTER_FLOW_RUNS: Operation(filter_flow_runs, writes=False),
}
