"""Batches of task runs and log lines, as the engine reports them. The hottest path: no model, values straight to storage form."""

from __future__ import annotations

from typing import Any

from headrace.model import clock
from headrace.model.endpoints import records as endpoints
from headrace.model.errors import InvalidRequest
from headrace.operations.table import Operation
from headrace.store.codec import json_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def _id(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text.replace("-", ""))


def _policy(run: dict[str, Any]) -> str | None:
    policy = {key: run.get(key) for key in ("retries", "retry_delay", "retry_jitter_factor") if run.get(key)}
    return json_in(policy) if policy else None


def record(tx: Transaction, body: dict[str, list[Any]]) -> None:
    """Write a batch: each task run as it is after its newest state, each state and log line once. A batch may come twice.

    Raises `InvalidRequest` for what no engine sends.
    """
    try:
        _record(tx, body)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise InvalidRequest(f"The records are not of the form that the engine sends ({type(error).__name__}: {error}).") from error


def _record(tx: Transaction, body: dict[str, list[Any]]) -> None:
    now = clock.now_us()
    runs: list[tuple[Any, ...]] = []
    states: list[tuple[Any, ...]] = []
    for run in body.get("task_runs", ()):
        id = _id(run["id"])
        history = run["states"]
        for state_id, kind, name, timestamp, message, data, details in history:
            states.append((_id(state_id), id, timestamp, kind, name, message, json_in(data), json_in(details or None)))
        newest = history[-1]
        runs.append(
            (
                id,
                history[0][3],
                now,
                _id(run.get("flow_run_id")),
                run["name"],
                run["task_key"],
                run["dynamic_key"],
                _id(newest[0]),
                newest[1],
                newest[2],
                newest[3],
                run.get("run_count", 0),
                run.get("flow_run_run_count", 0),
                run.get("expected_start_time"),
                None,
                run.get("start_time"),
                run.get("end_time"),
                round(run.get("total_run_time", 0) * 1_000_000),
                json_in(run.get("tags") or None),
                json_in(run.get("labels") or None),
                json_in(run.get("task_inputs") or None),
                _policy(run),
                run.get("cache_key"),
                run.get("cache_expiration"),
                None,
            )
        )
    if runs:
        if tx.caller.is_server:
            from headrace.operations.events.run_events import tell_task_run_states

            tell_task_run_states(tx, body["task_runs"], now)
        tx.sql_many(statements.RECORD_TASK_RUN, runs)
        tx.sql_many(statements.RECORD_TASK_RUN_STATE, states)
    logs = body.get("logs")
    if logs:
        tx.sql_many(
            statements.RECORD_LOG,
            [
                (_id(id), timestamp, level, name, message, _id(flow_run_id), _id(task_run_id))
                for id, name, level, message, timestamp, flow_run_id, task_run_id in logs
            ],
        )
        if tx.caller.is_server:
            tx.publish("logs", logs)


OPERATIONS = {endpoints.RECORD: Operation(record, writes=True)}
