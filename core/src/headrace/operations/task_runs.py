"""Task runs: created, read, listed, changed, deleted, moved from state to state."""

from __future__ import annotations

from uuid import UUID

from headrace.model import clock, ids, names
from headrace.model.endpoints import task_runs as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.orchestration import OrchestrationResult, SetState
from headrace.model.run_queries import HistoryQuery, HistoryResponse, RunScope, TaskRunPageQuery, TaskRunQuery
from headrace.model.task_runs import TaskRun, TaskRunCreate, TaskRunPaginationResponse, TaskRunSort, TaskRunUpdate
from headrace.operations import transitions
from headrace.operations.deletion import delete_task_run as delete_rows
from headrace.operations.encoding import details_in, own, task_run_out
from headrace.operations.pages import page_limit, pages_of
from headrace.operations.run_conditions import scope_of_task_runs
from headrace.operations.table import Operation
from headrace.store.codec import id_in, json_in, json_out, time_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

_ORDERS = {
    TaskRunSort.ID_DESC: "r.id DESC",
    TaskRunSort.EXPECTED_START_TIME_ASC: "r.expected_start_time ASC NULLS LAST, r.id",
    TaskRunSort.EXPECTED_START_TIME_DESC: "r.expected_start_time DESC NULLS LAST, r.id DESC",
    TaskRunSort.NAME_ASC: "r.name, r.id",
    TaskRunSort.NAME_DESC: "r.name DESC, r.id DESC",
    TaskRunSort.NEXT_SCHEDULED_START_TIME_ASC: "r.next_scheduled_start_time ASC NULLS LAST, r.id",
    TaskRunSort.END_TIME_DESC: "r.end_time DESC NULLS LAST, r.id DESC",
}


def create_task_run(tx: Transaction, body: TaskRunCreate) -> TaskRun:
    """Return the task run of that flow run, task key and dynamic key (or id): as it is if it exists, else newly made."""
    key = (id_in(body.flow_run_id), body.task_key, body.dynamic_key)
    found = tx.sql_one(statements.SELECT_TASK_RUN_BY_KEY, key)
    if found is None and body.id is not None:
        found = tx.sql_one(statements.SELECT_TASK_RUN, (body.id.bytes,))
    if found is not None:
        return task_run_out(found, clock.now_us())
    run_id = body.id or ids.new()
    now = clock.now_us()
    state, books = transitions.first_state(tx, "task_run", run_id, body.state, now)
    inputs = {name: [source.model_dump(mode="json") for source in sources] for name, sources in body.task_inputs.items()}
    row = (
        run_id.bytes,
        now,
        now,
        key[0],
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
    tx.sql(statements.INSERT_TASK_RUN, row)
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
    return transitions.set_task_run_state(tx, id, body)


def filter_task_runs(tx: Transaction, body: TaskRunQuery) -> list[TaskRun]:
    """List task runs."""
    return _list(tx, body, body.sort, page_limit(body.limit), body.offset)


def count_task_runs(tx: Transaction, body: RunScope) -> int:
    """Count task runs."""
    where = scope_of_task_runs(body, "r")
    found = tx.sql_one(f"SELECT COUNT(*) FROM task_run r WHERE {where.joined()}", where.values)
    return found[0] if found is not None else 0


def paginate_task_runs(tx: Transaction, body: TaskRunPageQuery) -> TaskRunPaginationResponse:
    """List one page of task runs and say how many there are."""
    limit = page_limit(body.limit)
    count = count_task_runs(tx, body)
    results = _list(tx, body, body.sort, limit, (body.page - 1) * limit)
    return TaskRunPaginationResponse.model_construct(results=results, count=count, limit=limit, pages=pages_of(count, limit), page=body.page)


def task_run_history(tx: Transaction, body: HistoryQuery) -> list[HistoryResponse]:
    """Count task runs by state in intervals. Raises `InvalidRequest` for intervals below a second or more than 500 of them."""
    from headrace.operations import history

    return history.history(tx, "task_run", body, scope_of_task_runs(body, "r"))


def _labels(tx: Transaction, body: TaskRunCreate) -> dict[str, object]:
    """Return the labels of the flow run, the ids of flow and flow run, and the given ones, the later winning."""
    if body.flow_run_id is None:
        return dict(body.labels or {})
    row = tx.sql_one("SELECT flow_id, labels FROM flow_run WHERE id = ?", (body.flow_run_id.bytes,))
    if row is None:
        return dict(body.labels or {})
    around = {"prefect.flow.id": str(UUID(bytes=row[0])), **(json_out(row[1]) or {}), "prefect.flow-run.id": str(body.flow_run_id)}
    return {**around, **(body.labels or {})}


def _list(tx: Transaction, scope: RunScope, sort: TaskRunSort, limit: int, offset: int) -> list[TaskRun]:
    where = scope_of_task_runs(scope, "r")
    now = clock.now_us()
    text = f"{statements.SELECT_TASK_RUNS} WHERE {where.joined()} ORDER BY {_ORDERS[sort]} LIMIT ? OFFSET ?"
    return [task_run_out(row, now) for row in tx.sql(text, (*where.values, limit, offset))]


OPERATIONS = {
    endpoints.CREATE_TASK_RUN: Operation(create_task_run, writes=True),
    endpoints.READ_TASK_RUN: Operation(read_task_run, writes=False),
    endpoints.UPDATE_TASK_RUN: Operation(update_task_run, writes=True),
    endpoints.DELETE_TASK_RUN: Operation(delete_task_run, writes=True),
    endpoints.SET_TASK_RUN_STATE: Operation(set_task_run_state, writes=True),
    endpoints.FILTER_TASK_RUNS: Operation(filter_task_runs, writes=False),
    endpoints.PAGINATE_TASK_RUNS: Operation(paginate_task_runs, writes=False),
    endpoints.COUNT_TASK_RUNS: Operation(count_task_runs, writes=False),
    endpoints.TASK_RUN_HISTORY: Operation(task_run_history, writes=False),
}
