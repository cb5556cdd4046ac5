"""Statements on flows, runs and their states. A tuple of column names is the order of the values, in and out."""

from __future__ import annotations

FLOW_COLUMNS = ("id", "created", "updated", "name", "tags", "labels")

FLOW_RUN_COLUMNS = (
    "id",
    "created",
    "updated",
    "flow_id",
    "name",
    "state_id",
    "state_type",
    "state_name",
    "state_timestamp",
    "run_count",
    "expected_start_time",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
    "parameters",
    "context",
    "tags",
    "labels",
    "empirical_policy",
    "parent_task_run_id",
    "owner_id",
    "flow_version",
    "idempotency_key",
    "deployment_id",
    "deployment_version",
    "work_queue_id",
    "work_queue_name",
    "work_pool_id",
    "work_pool_name",
    "auto_scheduled",
    "infrastructure_document_id",
    "infrastructure_pid",
    "job_variables",
    "created_by",
)

TASK_RUN_COLUMNS = (
    "id",
    "created",
    "updated",
    "flow_run_id",
    "name",
    "task_key",
    "dynamic_key",
    "state_id",
    "state_type",
    "state_name",
    "state_timestamp",
    "run_count",
    "flow_run_run_count",
    "expected_start_time",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
    "tags",
    "labels",
    "task_inputs",
    "empirical_policy",
    "cache_key",
    "cache_expiration",
    "task_version",
)

STATE_COLUMNS = ("id", "run_id", "timestamp", "type", "name", "message", "data", "details")
"""As they are read; the column `run_id` stands for is `flow_run_id` or `task_run_id`."""

STATE_FIELDS_OF_RUN = ("message", "data", "details")
"""What a run's row does not repeat of its present state."""


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _select_run(table: str, columns: tuple[str, ...]) -> str:
    wanted = ", ".join([f"r.{name}" for name in columns] + [f"s.{name}" for name in STATE_FIELDS_OF_RUN])
    return f"SELECT {wanted} FROM {table} r LEFT JOIN {table}_state s ON s.{table}_id = r.id AND s.id = r.state_id"


def _state_columns(run: str) -> tuple[str, ...]:
    return ("id", run, *STATE_COLUMNS[2:])


INSERT_FLOW = _insert("flow", FLOW_COLUMNS) + " ON CONFLICT (name) DO NOTHING"
SELECT_FLOW_BY_NAME = f"SELECT {', '.join(FLOW_COLUMNS)} FROM flow WHERE name = ?"
SELECT_FLOW = f"SELECT {', '.join(FLOW_COLUMNS)} FROM flow WHERE id = ?"

INSERT_FLOW_RUN = _insert("flow_run", FLOW_RUN_COLUMNS) + " ON CONFLICT DO NOTHING"
SELECT_FLOW_RUNS = _select_run("flow_run", FLOW_RUN_COLUMNS)
SELECT_FLOW_RUN = SELECT_FLOW_RUNS + " WHERE r.id = ?"
SELECT_FLOW_RUN_BY_KEY = SELECT_FLOW_RUNS + " WHERE r.flow_id = ? AND r.idempotency_key = ?"
INSERT_FLOW_RUN_STATE = _insert("flow_run_state", _state_columns("flow_run_id"))
SELECT_FLOW_RUN_STATE = f"SELECT {', '.join(_state_columns('flow_run_id'))} FROM flow_run_state WHERE id = ?"
SELECT_FLOW_RUN_STATES = f"SELECT {', '.join(_state_columns('flow_run_id'))} FROM flow_run_state WHERE flow_run_id = ? ORDER BY timestamp, id"

INSERT_TASK_RUN = _insert("task_run", TASK_RUN_COLUMNS) + " ON CONFLICT DO NOTHING"
SELECT_TASK_RUNS = _select_run("task_run", TASK_RUN_COLUMNS)
SELECT_TASK_RUN = SELECT_TASK_RUNS + " WHERE r.id = ?"
SELECT_TASK_RUN_BY_KEY = SELECT_TASK_RUNS + " WHERE r.flow_run_id = ? AND r.task_key = ? AND r.dynamic_key = ?"
SELECT_LONE_TASK_RUN_BY_KEY = SELECT_TASK_RUNS + " WHERE r.flow_run_id IS NULL AND r.task_key = ? AND r.dynamic_key = ?"
INSERT_TASK_RUN_STATE = _insert("task_run_state", _state_columns("task_run_id"))
SELECT_TASK_RUN_STATE = f"SELECT {', '.join(_state_columns('task_run_id'))} FROM task_run_state WHERE id = ?"
SELECT_TASK_RUN_STATE_BACKWARDS = (
    f"SELECT {', '.join(_state_columns('task_run_id'))} FROM task_run_state WHERE task_run_id <= ? AND id = ? ORDER BY task_run_id DESC LIMIT 1"
)
SELECT_TASK_RUN_STATES = f"SELECT {', '.join(_state_columns('task_run_id'))} FROM task_run_state WHERE task_run_id = ? ORDER BY timestamp, id"

BOOKS_COLUMNS = (
    "state_id",
    "state_type",
    "state_name",
    "state_timestamp",
    "run_count",
    "expected_start_time",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
    "empirical_policy",
)
"""What the rules look at on the run's own row, and states write; then come the columns of the one kind of run, then the state's."""
FLOW_RUN_BOOKS_COLUMNS = (*BOOKS_COLUMNS, "owner_id", "parent_task_run_id", "deployment_id", "infrastructure_pid")
TASK_RUN_BOOKS_COLUMNS = (*BOOKS_COLUMNS, "flow_run_run_count", "flow_run_id", "tags")

SELECT_FLOW_RUN_BOOKS = _select_run("flow_run", FLOW_RUN_BOOKS_COLUMNS) + " WHERE r.id = ?"
SELECT_TASK_RUN_BOOKS = _select_run("task_run", TASK_RUN_BOOKS_COLUMNS) + " WHERE r.id = ?"

_STATE_CHANGE = (
    "updated",
    "state_id",
    "state_type",
    "state_name",
    "state_timestamp",
    "run_count",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
    "empirical_policy",
)


def _update(table: str, columns: tuple[str, ...]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?"


UPDATE_FLOW_RUN_STATE = _update("flow_run", (*_STATE_CHANGE, "owner_id"))
UPDATE_TASK_RUN_STATE = _update("task_run", (*_STATE_CHANGE, "flow_run_run_count"))

_TASK_RUN_KEPT = ("id", "created", "flow_run_id", "task_key", "dynamic_key", "task_version")

RECORD_TASK_RUN = (
    _insert("task_run", TASK_RUN_COLUMNS)
    + " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in TASK_RUN_COLUMNS if name not in _TASK_RUN_KEPT)
    + " WHERE task_run.state_timestamp IS NULL"
    + " OR (excluded.state_timestamp, excluded.state_id) > (task_run.state_timestamp, task_run.state_id)"
)
RECORD_TASK_RUN_STATE = INSERT_TASK_RUN_STATE + " ON CONFLICT (task_run_id, id) DO NOTHING"

LOG_COLUMNS = ("id", "timestamp", "level", "name", "message", "flow_run_id", "task_run_id")
RECORD_LOG = _insert("log", LOG_COLUMNS) + " ON CONFLICT (id) DO NOTHING"

SELECT_CACHED_STATE = (
    f"SELECT {', '.join('s.' + name for name in _state_columns('task_run_id'))} FROM task_run_cache c"
    " JOIN task_run_state s ON s.task_run_id = c.task_run_id AND s.id = c.state_id"
    " WHERE c.cache_key = ? AND (c.expiration IS NULL OR c.expiration > ?)"
)
STORE_IN_CACHE = (
    "INSERT INTO task_run_cache (cache_key, task_run_id, state_id, expiration) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (cache_key) DO UPDATE SET task_run_id = excluded.task_run_id, state_id = excluded.state_id, expiration = excluded.expiration"
)
