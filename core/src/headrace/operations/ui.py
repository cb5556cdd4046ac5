"""What user interfaces ask for: counts and short forms of runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from headrace.model import clock
from headrace.model.endpoints import ui as endpoints
from headrace.model.errors import InvalidRequest
from headrace.model.run_queries import RunScope
from headrace.model.states import StateType
from headrace.model.ui import (
    CountByState,
    FlowIds,
    FlowRunIds,
    FlowRunPoints,
    SchemaValueError,
    SchemaValueIndexError,
    SchemaValuePropertyError,
    SchemaValues,
    SchemaValuesValidationResponse,
    SimpleFlowRun,
    SimpleNextFlowRun,
    TaskRunCountsQuery,
    UITaskRun,
)
from headrace.operations.runs.encoding import build, lateness_sql, run_time_sql
from headrace.operations.runs.run_conditions import scope_of_flow_runs, scope_of_task_runs
from headrace.operations.runs.run_queries import FLOW_RUN_ORDERS
from headrace.operations.runs.task_runs import read_task_run
from headrace.operations.table import Operation
from headrace.rules.schema_check import problems
from headrace.store.codec import microseconds, moment
from headrace.store.database import Transaction

STRETCHES = 20


def count_deployments_by_flow(tx: Transaction, body: FlowIds) -> dict[UUID, int]:
    """Count the deployments of each flow."""
    return _counted(tx, body.flow_ids, "SELECT flow_id, COUNT(*) FROM deployment WHERE flow_id IN ({}) GROUP BY flow_id")


def count_task_runs_by_flow_run(tx: Transaction, body: FlowRunIds) -> dict[UUID, int]:
    """Count the task runs of each flow run, those aside that stand for a flow run of their own."""
    return _counted(
        tx,
        body.flow_run_ids,
        "SELECT t.flow_run_id, COUNT(*) FROM task_run t WHERE t.flow_run_id IN ({})"
        " AND NOT EXISTS (SELECT 1 FROM flow_run c WHERE c.parent_task_run_id = t.id) GROUP BY t.flow_run_id",
    )


def _counted(tx: Transaction, ids: Sequence[UUID], text: str) -> dict[UUID, int]:
    counts = dict.fromkeys(ids, 0)
    if ids:
        rows = tx.sql(text.format(", ".join("?" * len(counts))), [id.bytes for id in counts])
        counts.update({UUID(bytes=key): count for key, count in rows})
    return counts


def next_runs_by_flow(tx: Transaction, body: FlowIds) -> dict[UUID, SimpleNextFlowRun | None]:
    """Return the run of each flow that is scheduled next, or None."""
    found: dict[UUID, SimpleNextFlowRun | None] = {}
    for id in body.flow_ids:
        row = tx.sql_one(
            "SELECT id, name, state_name, state_type, next_scheduled_start_time FROM flow_run WHERE flow_id = ? AND state_type = 'SCHEDULED'"
            " AND next_scheduled_start_time IS NOT NULL ORDER BY next_scheduled_start_time, id LIMIT 1",
            (id.bytes,),
        )
        found[id] = None if row is None else _next(id, row)
    return found


def _next(flow_id: UUID, row: Sequence[Any]) -> SimpleNextFlowRun:
    values = {"id": UUID(bytes=row[0]), "flow_id": flow_id, "name": row[1], "state_name": row[2], "state_type": StateType(row[3])}
    return build(SimpleNextFlowRun, {**values, "next_scheduled_start_time": moment(row[4])})


def flow_run_points(tx: Transaction, body: FlowRunPoints) -> list[SimpleFlowRun]:
    """Return flow runs as points of a chart."""
    where = scope_of_flow_runs(body, "r")
    now = clock.now_us()
    rows = tx.sql(
        f"SELECT r.id, r.state_type, COALESCE(r.start_time, r.expected_start_time), {run_time_sql('r', now)}, {lateness_sql('r', now)}"
        f" FROM flow_run r WHERE r.state_type IS NOT NULL AND COALESCE(r.start_time, r.expected_start_time) IS NOT NULL AND {where.joined()}"
        f" ORDER BY {FLOW_RUN_ORDERS[body.sort]} LIMIT ? OFFSET ?",
        (*where.values, body.limit, body.offset),
    )
    return [
        SimpleFlowRun(id=UUID(bytes=key), state_type=StateType(kind), timestamp=moment(when), duration=time / 1e6, lateness=late / 1e6)
        for key, kind, when, time, late in rows
    ]


def count_task_runs_over_time(tx: Transaction, body: TaskRunCountsQuery) -> list[dict[str, int]]:
    """Count completed and failed task runs in 20 equal stretches from `task_runs.start_time.after_` to `before_`, which is now by default.

    Raises `InvalidRequest` without a beginning.
    """
    between = body.task_runs.start_time
    if between is None or between.after_ is None:
        raise InvalidRequest("`task_runs.start_time.after_` must be given: it is where the first stretch of time begins.")
    start, end = microseconds(between.after_), microseconds(between.before_ or clock.now())
    if end <= start:
        raise InvalidRequest("`task_runs.start_time.before_` must be later than `after_`.")
    length = -(-(end - start) // STRETCHES)
    where = scope_of_task_runs(body, "r")
    rows = tx.sql(
        "SELECT (r.start_time - ?) / ? AS n, r.state_type, COUNT(*) FROM task_run r WHERE r.start_time >= ? AND r.start_time <= ?"
        f" AND r.state_type IN ('COMPLETED', 'FAILED') AND {where.joined()} GROUP BY 1, 2",
        (start, length, start, end, *where.values),
    )
    counts = [{"completed": 0, "failed": 0} for _ in range(STRETCHES)]
    for n, kind, count in rows:
        counts[min(int(n), STRETCHES - 1)][kind.lower()] += count
    return counts


def count_task_runs_by_state(tx: Transaction, body: RunScope) -> CountByState:
    """Count task runs by the type of their state."""
    where = scope_of_task_runs(body, "r")
    rows = tx.sql(
        f"SELECT r.state_type, COUNT(*) FROM task_run r WHERE r.state_type IS NOT NULL AND {where.joined()} GROUP BY r.state_type", where.values
    )
    return CountByState(**dict(cast("list[tuple[str, int]]", rows)))


def read_ui_task_run(tx: Transaction, *, id: UUID) -> UITaskRun:
    """Return a task run with the name of its flow run. Raises `ObjectNotFound`."""
    run = read_task_run(tx, id=id)
    row = None if run.flow_run_id is None else tx.sql_one("SELECT name FROM flow_run WHERE id = ?", (run.flow_run_id.bytes,))
    return build(UITaskRun, {**run.__dict__, "flow_run_name": row[0] if row else None})


def validate_schema_values(tx: Transaction, body: SchemaValues) -> SchemaValuesValidationResponse:
    """Say what is wrong with values for a JSON schema, property by property. Raises `InvalidRequest` for what is no schema."""
    try:
        errors = _errors(body.schema_, body.values, body.schema_)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, re.error) as error:
        raise InvalidRequest(f"The schema cannot be used ({type(error).__name__}: {error}).") from error
    return SchemaValuesValidationResponse(errors=errors, valid=not errors)


def _errors(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> list[SchemaValueError]:
    """Go down where objects and lists are described part by part; elsewhere the rules say what is wrong."""
    properties, items = schema.get("properties"), schema.get("items")
    found: list[SchemaValueError] = []
    if isinstance(value, dict) and isinstance(properties, dict):
        given = cast("dict[str, Any]", value)
        for name, part in cast("dict[str, Any]", properties).items():
            if name in given:
                inner = _errors(_whole(part, root), given[name], root)
                found += [SchemaValuePropertyError(property=name, errors=inner)] if inner else []
        needed: Any = schema.get("required") or ()
        found += [SchemaValuePropertyError(property=name, errors=[f"{name!r} is a required property"]) for name in needed if name not in given]
        others = {key: part for key, part in schema.items() if key not in ("properties", "required", "additionalProperties")}
        return [*found, *problems(others, value)]
    if isinstance(value, list) and isinstance(items, dict):
        for index, item in enumerate(cast("list[Any]", value)):
            inner = _errors(_whole(items, root), item, root)
            found += [SchemaValueIndexError(index=index, errors=inner)] if inner else []
        return [*found, *problems({key: part for key, part in schema.items() if key != "items"}, value)]
    return [*problems(schema, value)]


def _whole(part: Any, root: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a schema with the definitions of the whole, so that its references are found."""
    definitions = {key: root[key] for key in ("$defs", "definitions") if key in root}
    return {**definitions, **cast("dict[str, Any]", part)} if isinstance(part, dict) else definitions


OPERATIONS = {
    endpoints.COUNT_DEPLOYMENTS_BY_FLOW: Operation(count_deployments_by_flow, writes=False),
    endpoints.NEXT_RUNS_BY_FLOW: Operation(next_runs_by_flow, writes=False),
    endpoints.FLOW_RUN_POINTS: Operation(flow_run_points, writes=False),
    endpoints.COUNT_TASK_RUNS_BY_FLOW_RUN: Operation(count_task_runs_by_flow_run, writes=False),
    endpoints.COUNT_TASK_RUNS_OVER_TIME: Operation(count_task_runs_over_time, writes=False),
    endpoints.COUNT_TASK_RUNS_BY_STATE: Operation(count_task_runs_by_state, writes=False),
    endpoints.READ_UI_TASK_RUN: Operation(read_ui_task_run, writes=False),
    endpoints.VALIDATE_SCHEMA_VALUES: Operation(validate_schema_values, writes=False),
}
