"""Batches of task runs and log lines, as the engine reports them: plain JSON, no model, for this is the hottest path.

    {"task_runs": [T, …], "logs": [L, …]}
    T = {"id", "flow_run_id", "name", "task_key", "dynamic_key", "tags", "labels", "task_inputs", "retries", "retry_delay",
         "retry_jitter_factor", "cache_key", "cache_expiration", "run_count", "flow_run_run_count", "expected_start_time",
         "start_time", "end_time", "total_run_time",
         "states": [[id, type, name, timestamp, message, data, details], …]}
    L = [id, name, level, message, timestamp, flow_run_id, task_run_id]

Ids are hyphenated text, times integer microseconds since 1970 in UTC, `total_run_time` and `retry_delay` seconds.
"""

from __future__ import annotations

from typing import Any

from headrace.model.endpoints.base import Endpoint

RecordBatch = dict[str, list[Any]]

RECORD: Endpoint[None] = Endpoint("POST", "/records", "records", body=RecordBatch, status=204)
