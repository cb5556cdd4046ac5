"""Listing, counting, paging, charting and bulk-changing flows, flow runs, task runs and logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from headrace.model import clock
from headrace.model.endpoints import run_queries as endpoints
from headrace.model.flow_runs import FlowRun, FlowRunBulkDeleteResponse, FlowRunPaginationResponse, FlowRunSort
from headrace.model.flows import Flow, FlowBulkDeleteResponse, FlowPaginationResponse, FlowSort
from headrace.model.graph import DependencyResult, Graph
from headrace.model.logs import Log, LogSort
from headrace.model.orchestration import FlowRunBulkSetStateResponse, FlowRunOrchestrationResult, SetState
from headrace.model.run_queries import (
    FlowBulkDelete,
    FlowPageQuery,
    FlowQuery,
    FlowRunBulkDelete,
    FlowRunBulkSetState,
    FlowRunPageQuery,
    FlowRunQuery,
    HistoryQuery,
    HistoryResponse,
    LogQuery,
    RunScope,
    TaskRunPageQuery,
    TaskRunQuery,
)
from headrace.model.task_runs import TaskRun, TaskRunPaginationResponse, TaskRunSort
from headrace.operations.conditions import Conditions
from headrace.operations.pages import page_limit, pages_of
from headrace.operations.runs import transitions
from headrace.operations.runs.deletion import delete_flow, delete_flow_runs
from headrace.operations.runs.encoding import build, flow_out, flow_run_out, lateness_sql
from headrace.operations.runs.run_conditions import log_where, scope_of_flow_runs, scope_of_flows, scope_of_task_runs
from headrace.operations.runs.task_encoding import task_run_out
from headrace.operations.table import Operation
from headrace.store.codec import id_out, time_out
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

M = TypeVar("M")

_FLOW_ORDERS = {
    FlowSort.CREATED_DESC: "f.created DESC, f.id DESC",
    FlowSort.UPDATED_DESC: "f.updated DESC, f.id DESC",
    FlowSort.NAME_ASC: "f.name",
    FlowSort.NAME_DESC: "f.name DESC",
}
FLOW_RUN_ORDERS = {
    FlowRunSort.ID_DESC: "r.id DESC",
    FlowRunSort.START_TIME_ASC: "COALESCE(r.start_time, r.expected_start_time), r.id",
    FlowRunSort.START_TIME_DESC: "COALESCE(r.start_time, r.expected_start_time) DESC, r.id DESC",
    FlowRunSort.EXPECTED_START_TIME_ASC: "r.expected_start_time, r.id",
    FlowRunSort.EXPECTED_START_TIME_DESC: "r.expected_start_time DESC, r.id DESC",
    FlowRunSort.NAME_ASC: "r.name, r.id",
    FlowRunSort.NAME_DESC: "r.name DESC, r.id DESC",
    FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC: "r.next_scheduled_start_time ASC NULLS LAST, r.id",
    FlowRunSort.END_TIME_DESC: "r.end_time DESC NULLS LAST, r.id DESC",
}
_TASK_RUN_ORDERS = {
    TaskRunSort.ID_DESC: "r.id DESC",
    TaskRunSort.EXPECTED_START_TIME_ASC: "r.expected_start_time, r.id",
    TaskRunSort.EXPECTED_START_TIME_DESC: "r.expected_start_time DESC, r.id DESC",
    TaskRunSort.NAME_ASC: "r.name, r.id",
    TaskRunSort.NAME_DESC: "r.name DESC, r.id DESC",
    TaskRunSort.NEXT_SCHEDULED_START_TIME_ASC: "r.next_scheduled_start_time ASC NULLS LAST, r.id",
    TaskRunSort.END_TIME_DESC: "r.end_time DESC NULLS LAST, r.id DESC",
}


@dataclass(frozen=True, slots=True)
class _Listing(Generic[M]):
    """How the objects of one noun are listed, counted and paged."""

    source: str
    alias: str
    select: str
    orders: Mapping[Any, str]
    scope: Callable[[RunScope, str], Conditions]
    out: Callable[[Sequence[Any], int], M]
    page: type[Any]

    def filter(self, tx: Transaction, body: FlowQuery | FlowRunQuery | TaskRunQuery) -> list[M]:
        """List those that match."""
        return self._list(tx, body, body.sort, page_limit(body.limit), body.offset)

    def count(self, tx: Transaction, body: RunScope) -> int:
        """Count those that match."""
        where = self.scope(body, self.alias)
        return tx.sql(f"SELECT COUNT(*) FROM {self.source} WHERE {where.joined()}", where.values)[0][0]

    def paginate(self, tx: Transaction, body: FlowPageQuery | FlowRunPageQuery | TaskRunPageQuery) -> Any:
        """List one page of those that match, and say how many there are."""
        limit = page_limit(body.limit)
        count = self.count(tx, body)
        results = self._list(tx, body, body.sort, limit, (body.page - 1) * limit)
        return self.page.model_construct(results=results, count=count, limit=limit, pages=pages_of(count, limit), page=body.page)

    def _list(self, tx: Transaction, scope: RunScope, sort: Any, limit: int, offset: int) -> list[M]:
        where, now = self.scope(scope, self.alias), clock.now_us()
        text = f"{self.select} WHERE {where.joined()} ORDER BY {self.orders[sort]} LIMIT ? OFFSET ?"
        return [self.out(row, now) for row in tx.sql(text, (*where.values, limit, offset))]


_SELECT_FLOWS = f"SELECT {', '.join(f'f.{name}' for name in statements.FLOW_COLUMNS)} FROM flow f"
_FLOWS: _Listing[Flow] = _Listing("flow f", "f", _SELECT_FLOWS, _FLOW_ORDERS, scope_of_flows, lambda row, _: flow_out(row), FlowPaginationResponse)
_FLOW_RUNS: _Listing[FlowRun] = _Listing(
    "flow_run r", "r", statements.SELECT_FLOW_RUNS, FLOW_RUN_ORDERS, scope_of_flow_runs, flow_run_out, FlowRunPaginationResponse
)
_TASK_RUNS: _Listing[TaskRun] = _Listing(
    "task_run r", "r", statements.SELECT_TASK_RUNS, _TASK_RUN_ORDERS, scope_of_task_runs, task_run_out, TaskRunPaginationResponse
)


def bulk_delete_flows(tx: Transaction, body: FlowBulkDelete) -> FlowBulkDeleteResponse:
    """Delete the flows that match, at most `limit`, with all their runs."""
    where = scope_of_flows(RunScope(flows=body.flows), "f")
    found = tx.sql(f"SELECT f.id FROM flow f WHERE {where.joined()} ORDER BY f.name LIMIT ?", (*where.values, body.limit))
    for (key,) in found:
        delete_flow(tx, key)
    return FlowBulkDeleteResponse(deleted=[UUID(bytes=key) for (key,) in found])


def bulk_delete_flow_runs(tx: Transaction, body: FlowRunBulkDelete) -> FlowRunBulkDeleteResponse:
    """Delete the flow runs that match, at most `limit`."""
    found = _matching_flow_runs(tx, RunScope(flow_runs=body.flow_runs), body.limit)
    delete_flow_runs(tx, found)
    return FlowRunBulkDeleteResponse(deleted=[UUID(bytes=key) for key in found])


def bulk_set_flow_run_state(tx: Transaction, body: FlowRunBulkSetState) -> FlowRunBulkSetStateResponse:
    """Propose one state for the flow runs that match, at most `limit`; each gets its own answer."""
    results: list[FlowRunOrchestrationResult] = []
    for key in _matching_flow_runs(tx, RunScope(flow_runs=body.flow_runs), body.limit):
        run_id = UUID(bytes=key)
        answer = transitions.set_flow_run_state(tx, run_id, SetState(state=body.state, force=body.force))
        results.append(
            build(
                FlowRunOrchestrationResult,
                {"flow_run_id": run_id, "status": answer.status, "state": answer.state, "details": answer.details},
            )
        )
    return FlowRunBulkSetStateResponse.model_construct(results=results)


def flow_run_history(tx: Transaction, body: HistoryQuery) -> list[HistoryResponse]:
    """Count flow runs by state in intervals. Raises `InvalidRequest` for intervals below a second or more than 500 of them."""
    from headrace.operations.runs import history

    return history.history(tx, "flow_run", body, scope_of_flow_runs(body, "r"))


def flow_run_lateness(tx: Transaction, body: RunScope) -> float | None:
    """Return by how many seconds, on average, the flow runs that match started late; None when there are none."""
    where = scope_of_flow_runs(body, "r")
    found = tx.sql_one(f"SELECT AVG({lateness_sql('r', clock.now_us())}) FROM flow_run r WHERE {where.joined()}", where.values)
    return None if found is None or found[0] is None else found[0] / 1_000_000


def flow_run_dependencies(tx: Transaction, *, id: UUID) -> list[DependencyResult]:
    """Return the task runs of a flow run, each with the task runs whose results it took. Raises `ObjectNotFound`."""
    from headrace.operations.runs import graph

    return graph.dependencies(tx, id)


def flow_run_graph(tx: Transaction, *, id: UUID, since: Any = None) -> Graph:
    """Return the graph of a flow run. Raises `ObjectNotFound`, and `InvalidRequest` when it has too many nodes."""
    from headrace.operations.runs import graph

    return graph.read(tx, id, since)


def _matching_flow_runs(tx: Transaction, scope: RunScope, limit: int) -> list[bytes]:
    where = scope_of_flow_runs(scope, "r")
    text = f"SELECT r.id FROM flow_run r WHERE {where.joined()} ORDER BY r.id DESC LIMIT ?"
    return [key for (key,) in tx.sql(text, (*where.values, limit))]


def task_run_history(tx: Transaction, body: HistoryQuery) -> list[HistoryResponse]:
    """Count task runs by state in intervals. Raises `InvalidRequest` for intervals below a second or more than 500 of them."""
    from headrace.operations.runs import history

    return history.history(tx, "task_run", body, scope_of_task_runs(body, "r"))


def log_out(row: Sequence[Any]) -> Log:
    """Read a row of `LOG_COLUMNS`."""
    when = time_out(row[1])
    return build(
        Log,
        {
            "id": UUID(bytes=row[0]),
            "created": when,
            "updated": when,
            "name": row[3],
            "level": row[2],
            "message": row[4],
            "timestamp": when,
            "flow_run_id": id_out(row[5]),
            "task_run_id": id_out(row[6]),
        },
    )


def filter_logs(tx: Transaction, body: LogQuery) -> list[Log]:
    """List log lines; those of one moment in the order in which they were written."""
    where = log_where(body.logs, "l") if body.logs is not None else Conditions()
    joined = where.joined(body.logs.operator if body.logs is not None else "and_")
    order = "l.timestamp, l.id" if body.sort is LogSort.TIMESTAMP_ASC else "l.timestamp DESC, l.id DESC"
    columns = ", ".join(f"l.{name}" for name in statements.LOG_COLUMNS)
    text = f"SELECT {columns} FROM log l WHERE {joined} ORDER BY {order} LIMIT ? OFFSET ?"
    return [log_out(row) for row in tx.sql(text, (*where.values, page_limit(body.limit), body.offset))]


OPERATIONS = {
    endpoints.FILTER_FLOWS: Operation(_FLOWS.filter, writes=False),
    endpoints.PAGINATE_FLOWS: Operation(_FLOWS.paginate, writes=False),
    endpoints.COUNT_FLOWS: Operation(_FLOWS.count, writes=False),
    endpoints.BULK_DELETE_FLOWS: Operation(bulk_delete_flows, writes=True),
    endpoints.FILTER_FLOW_RUNS: Operation(_FLOW_RUNS.filter, writes=False),
    endpoints.PAGINATE_FLOW_RUNS: Operation(_FLOW_RUNS.paginate, writes=False),
    endpoints.COUNT_FLOW_RUNS: Operation(_FLOW_RUNS.count, writes=False),
    endpoints.FLOW_RUN_HISTORY: Operation(flow_run_history, writes=False),
    endpoints.FLOW_RUN_LATENESS: Operation(flow_run_lateness, writes=False),
    endpoints.FLOW_RUN_DEPENDENCIES: Operation(flow_run_dependencies, writes=False),
    endpoints.FLOW_RUN_GRAPH: Operation(flow_run_graph, writes=False),
    endpoints.BULK_DELETE_FLOW_RUNS: Operation(bulk_delete_flow_runs, writes=True),
    endpoints.BULK_SET_FLOW_RUN_STATE: Operation(bulk_set_flow_run_state, writes=True),
    endpoints.FILTER_TASK_RUNS: Operation(_TASK_RUNS.filter, writes=False),
    endpoints.PAGINATE_TASK_RUNS: Operation(_TASK_RUNS.paginate, writes=False),
    endpoints.COUNT_TASK_RUNS: Operation(_TASK_RUNS.count, writes=False),
    endpoints.TASK_RUN_HISTORY: Operation(task_run_history, writes=False),
    endpoints.FILTER_LOGS: Operation(filter_logs, writes=False),
}
