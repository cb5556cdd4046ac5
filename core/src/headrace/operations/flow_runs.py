"""Flow runs: created, read, listed, changed, deleted, moved from state to state."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock, ids, names
from headrace.model.endpoints import flow_runs as endpoints
from headrace.model.errors import InvalidRequest, ObjectNotFound
from headrace.model.flow_runs import (
    FlowRun,
    FlowRunBulkDeleteResponse,
    FlowRunCreate,
    FlowRunPaginationResponse,
    FlowRunSort,
    FlowRunUpdate,
)
from headrace.model.graph import Graph
from headrace.model.orchestration import (
    FlowRunBulkSetStateResponse,
    FlowRunOrchestrationResult,
    OrchestrationResult,
    ResumeFlowRun,
    SetState,
)
from headrace.model.run_queries import (
    FlowRunBulkDelete,
    FlowRunBulkSetState,
    FlowRunPageQuery,
    FlowRunQuery,
    HistoryQuery,
    HistoryResponse,
    RunScope,
)
from headrace.operations import transitions
from headrace.operations.deletion import delete_flow_runs
from headrace.operations.encoding import build, details_in, flow_run_out, lateness_sql, own
from headrace.operations.pages import page_limit, pages_of
from headrace.operations.run_conditions import scope_of_flow_runs
from headrace.operations.table import Operation
from headrace.store.codec import id_in, json_in, json_out
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

_ORDERS = {
    FlowRunSort.ID_DESC: "r.id DESC",
    FlowRunSort.START_TIME_ASC: "COALESCE(r.start_time, r.expected_start_time) ASC NULLS LAST, r.id",
    FlowRunSort.START_TIME_DESC: "COALESCE(r.start_time, r.expected_start_time) DESC NULLS LAST, r.id DESC",
    FlowRunSort.EXPECTED_START_TIME_ASC: "r.expected_start_time ASC NULLS LAST, r.id",
    FlowRunSort.EXPECTED_START_TIME_DESC: "r.expected_start_time DESC NULLS LAST, r.id DESC",
    FlowRunSort.NAME_ASC: "r.name, r.id",
    FlowRunSort.NAME_DESC: "r.name DESC, r.id DESC",
    FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC: "r.next_scheduled_start_time ASC NULLS LAST, r.id",
    FlowRunSort.END_TIME_DESC: "r.end_time DESC NULLS LAST, r.id DESC",
}


def create_flow_run(tx: Transaction, body: FlowRunCreate, *, owner: UUID | None = None) -> FlowRun:
    """Create a run in its first state, Pending unless the body says otherwise; a repeated idempotency key answers the first run.

    `owner` is the process that runs it, if one does. Raises `InvalidRequest` when there is no such flow.
    """
    if body.idempotency_key is not None:
        found = tx.sql_one(statements.SELECT_FLOW_RUN_BY_KEY, (body.flow_id.bytes, body.idempotency_key))
        if found is not None:
            return flow_run_out(found, clock.now_us())
    flow = tx.sql_one("SELECT labels FROM flow WHERE id = ?", (body.flow_id.bytes,))
    if flow is None:
        raise InvalidRequest(f"No flow has the id {body.flow_id}, so no run of it can be created. Create the flow first.", status=409)
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
        json_in({**(json_out(flow[0]) or {}), **(body.labels or {})} or None),
        own(body.empirical_policy),
        id_in(body.parent_task_run_id),
        id_in(owner),
        body.flow_version,
        body.idempotency_key,
        id_in(body.deployment_id),
        None,
        None,
        body.work_queue_name,
        body.work_pool_name,
        0,
        id_in(body.infrastructure_document_id),
        None,
        json_in(body.job_variables),
        None,
    )
    tx.sql(statements.INSERT_FLOW_RUN, row)
    return flow_run_out((*row, state.message, json_in(state.data), details_in(state.state_details)), now)


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
    changed["updated"] = clock.now_us()
    tx.sql(f"UPDATE flow_run SET {', '.join(f'{key} = ?' for key in changed)} WHERE id = ?", (*changed.values(), id.bytes))


def update_flow_run_labels(tx: Transaction, body: dict[str, Any], *, id: UUID) -> None:
    """Add labels to those that the run has, or replace their values. Raises `ObjectNotFound`."""
    row = tx.sql_one("SELECT labels FROM flow_run WHERE id = ?", (id.bytes,))
    if row is None:
        raise _missing(id)
    labels = {**(json_out(row[0]) or {}), **body}
    tx.sql("UPDATE flow_run SET labels = ?, updated = ? WHERE id = ?", (json_in(labels), clock.now_us(), id.bytes))


def delete_flow_run(tx: Transaction, *, id: UUID) -> None:
    """Delete a flow run with its states, task runs, inputs and logs. Raises `ObjectNotFound`."""
    if tx.sql_one("SELECT 1 FROM flow_run WHERE id = ?", (id.bytes,)) is None:
        raise _missing(id)
    delete_flow_runs(tx, [id.bytes])


def bulk_delete_flow_runs(tx: Transaction, body: FlowRunBulkDelete) -> FlowRunBulkDeleteResponse:
    """Delete the flow runs that match, at most `limit`."""
    found = _matching(tx, RunScope(flow_runs=body.flow_runs), body.limit)
    delete_flow_runs(tx, found)
    return FlowRunBulkDeleteResponse(deleted=[UUID(bytes=key) for key in found])


def set_flow_run_state(tx: Transaction, body: SetState, *, id: UUID, owner: UUID | None = None) -> OrchestrationResult:
    """Propose a state for a flow run. Raises `ObjectNotFound`. `owner` is the process that runs it from now on, if one does."""
    return transitions.set_flow_run_state(tx, id, body, owner)


def bulk_set_flow_run_state(tx: Transaction, body: FlowRunBulkSetState) -> FlowRunBulkSetStateResponse:
    """Propose one state for the flow runs that match, at most `limit`; each gets its own answer."""
    results: list[FlowRunOrchestrationResult] = []
    for key in _matching(tx, RunScope(flow_runs=body.flow_runs), body.limit):
        run_id = UUID(bytes=key)
        answer = transitions.set_flow_run_state(tx, run_id, SetState(state=body.state, force=body.force))
        results.append(
            build(
                FlowRunOrchestrationResult,
                {"flow_run_id": run_id, "status": answer.status, "state": answer.state, "details": answer.details},
            )
        )
    return FlowRunBulkSetStateResponse.model_construct(results=results)


def resume_flow_run(tx: Transaction, body: ResumeFlowRun, *, id: UUID) -> OrchestrationResult:
    """Let a paused run go on, with inputs if it waits for some. Raises `ObjectNotFound`."""
    from headrace.operations import resuming

    return resuming.resume(tx, id, body.run_input)


def filter_flow_runs(tx: Transaction, body: FlowRunQuery) -> list[FlowRun]:
    """List flow runs."""
    return _list(tx, body, body.sort, page_limit(body.limit), body.offset)


def count_flow_runs(tx: Transaction, body: RunScope) -> int:
    """Count flow runs."""
    where = scope_of_flow_runs(body, "r")
    found = tx.sql_one(f"SELECT COUNT(*) FROM flow_run r WHERE {where.joined()}", where.values)
    return found[0] if found is not None else 0


def paginate_flow_runs(tx: Transaction, body: FlowRunPageQuery) -> FlowRunPaginationResponse:
    """List one page of flow runs and say how many there are."""
    limit = page_limit(body.limit)
    count = count_flow_runs(tx, body)
    results = _list(tx, body, body.sort, limit, (body.page - 1) * limit)
    return FlowRunPaginationResponse.model_construct(results=results, count=count, limit=limit, pages=pages_of(count, limit), page=body.page)


def flow_run_history(tx: Transaction, body: HistoryQuery) -> list[HistoryResponse]:
    """Count flow runs by state in intervals. Raises `InvalidRequest` for intervals below a second or more than 500 of them."""
    from headrace.operations import history

    return history.history(tx, "flow_run", body, scope_of_flow_runs(body, "r"))


def flow_run_lateness(tx: Transaction, body: RunScope) -> float | None:
    """Return by how many seconds, on average, the flow runs that match started late; None when there are none."""
    where = scope_of_flow_runs(body, "r")
    found = tx.sql_one(f"SELECT AVG({lateness_sql('r', clock.now_us())}) FROM flow_run r WHERE {where.joined()}", where.values)
    return None if found is None or found[0] is None else found[0] / 1_000_000


def flow_run_graph(tx: Transaction, *, id: UUID, since: Any = None) -> Graph:
    """Return the graph of a flow run. Raises `ObjectNotFound`, and `InvalidRequest` when it has too many nodes."""
    from headrace.operations import graph

    return graph.read(tx, id, since)


def _list(tx: Transaction, scope: RunScope, sort: FlowRunSort, limit: int, offset: int) -> list[FlowRun]:
    where = scope_of_flow_runs(scope, "r")
    now = clock.now_us()
    text = f"{statements.SELECT_FLOW_RUNS} WHERE {where.joined()} ORDER BY {_ORDERS[sort]} LIMIT ? OFFSET ?"
    return [flow_run_out(row, now) for row in tx.sql(text, (*where.values, limit, offset))]


def _matching(tx: Transaction, scope: RunScope, limit: int) -> list[bytes]:
    where = scope_of_flow_runs(scope, "r")
    text = f"SELECT r.id FROM flow_run r WHERE {where.joined()} ORDER BY r.id DESC LIMIT ?"
    return [key for (key,) in tx.sql(text, (*where.values, limit))]


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
    endpoints.FILTER_FLOW_RUNS: Operation(filter_flow_runs, writes=False),
    endpoints.PAGINATE_FLOW_RUNS: Operation(paginate_flow_runs, writes=False),
    endpoints.COUNT_FLOW_RUNS: Operation(count_flow_runs, writes=False),
    endpoints.FLOW_RUN_HISTORY: Operation(flow_run_history, writes=False),
    endpoints.FLOW_RUN_LATENESS: Operation(flow_run_lateness, writes=False),
    endpoints.FLOW_RUN_GRAPH: Operation(flow_run_graph, writes=False),
    endpoints.BULK_DELETE_FLOW_RUNS: Operation(bulk_delete_flow_runs, writes=True),
    endpoints.BULK_SET_FLOW_RUN_STATE: Operation(bulk_set_flow_run_state, writes=True),
}
