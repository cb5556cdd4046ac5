"""Task runs: created, read, changed, moved from state to state."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids, names
from headrace.model.endpoints import task_runs as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.run_queries import TaskRunQuery
from headrace.model.states import StateCreate, StateType
from headrace.model.task_runs import TaskRun, TaskRunCreate
from headrace.operations import transitions
from headrace.operations.encoding import own, task_run_out
from headrace.operations.table import Operation
from headrace.store.codec import id_in, json_in, time_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def create_task_run(tx: Transaction, body: TaskRunCreate) -> TaskRun:
    """Return the task run of that flow run, task key and dynamic key: as it is if it exists, else newly made."""
    key = (id_in(body.flow_run_id), body.task_key, body.dynamic_key)
    found = tx.sql_one(statements.SELECT_TASK_RUN_BY_KEY, key)
    if found is not None:
        return task_run_out(found, clock.now_us())
    run_id = body.id or ids.new()
    now = clock.now_us()
    values: dict[str, object] = dict.fromkeys(statements.TASK_RUN_COLUMNS)
    values.update(
        id=run_id.bytes,
        created=now,
        updated=now,
        flow_run_id=key[0],
        name=body.name or names.invent(),
        task_key=body.task_key,
        dynamic_key=body.dynamic_key,
        run_count=0,
        flow_run_run_count=0,
        total_run_time=0,
        tags=json_in(body.tags or None),
        labels=json_in(body.labels or None),
        task_inputs=json_in({name: [each.model_dump(mode="json") for each in inputs] for name, inputs in body.task_inputs.items()} or None),
        empirical_policy=own(body.empirical_policy),
        cache_key=body.cache_key,
        cache_expiration=time_in(body.cache_expiration),
        task_version=body.task_version,
    )
    tx.sql(statements.INSERT_TASK_RUN, tuple(values.values()))
    transitions.set_state(tx, "task_run", run_id, SetState(state=body.state or StateCreate(type=StateType.PENDING), force=True), None)
    return read_task_run(tx, id=run_id)


def read_task_run(tx: Transaction, *, id: UUID) -> TaskRun:
    """Return a task run with its state. Raises `ObjectNotFound`."""
    found = tx.sql_one(statements.SELECT_TASK_RUN, (id.bytes,))
    if found is None:
        raise ObjectNotFound(help_message=f"Task not found: no task run has the id {id}.")
    return task_run_out(found, clock.now_us())


def set_task_run_state(tx: Transaction, body: SetState, *, id: UUID) -> OrchestrationResult:
    """Propose a state for a task run."""
    return transitions.set_state(tx, "task_run", id, body, None)


def filter_task_runs(tx: Transaction, body: TaskRunQuery) -> list[TaskRun]:
    """List task runs."""
    now = clock.now_us()
    return [task_run_out(row, now) for row in tx.sql(statements.SELECT_TASK_RUNS + " ORDER BY r.id DESC LIMIT 200")]


OPERATIONS = {
    endpoints.CREATE_TASK_RUN: Operation(create_task_run, writes=True),
    endpoints.READ_TASK_RUN: Operation(read_task_run, writes=False),
    endpoints.SET_TASK_RUN_STATE: Operation(set_task_run_state, writes=True),
    endpoints.FILTER_TASK_RUNS: Operation(filter_task_runs, writes=False),
}
