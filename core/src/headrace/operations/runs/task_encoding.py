"""Between rows of task runs in storage form and the shapes of `model`; apart, since a flow without tasks needs none of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from headrace.model.task_runs import Constant, FlowRunResult, Parameter, TaskInput, TaskRun, TaskRunPolicy, TaskRunResult
from headrace.operations.runs.encoding import build, lateness, run_time, state_out
from headrace.store.codec import id_out, json_out, time_out

_POLICY = {**{name: field.default for name, field in TaskRunPolicy.model_fields.items()}, "retries": 0, "retry_delay": 0}


def task_run_out(row: Sequence[Any], now_us: int) -> TaskRun:
    """Read a row of `TASK_RUN_COLUMNS` and its state; `now_us` is the moment of the estimates."""
    (
        id, created, updated, flow_run_id, name, task_key, dynamic_key, state_id, state_type, state_name, state_timestamp, run_count,
        flow_run_run_count, expected, scheduled, start, end, total, tags, labels, inputs, policy, cache_key, cache_expiration, version,
        message, data, details,
    ) = row  # fmt: skip
    state = None
    if state_id is not None:
        state = state_out((state_id, id, state_timestamp, state_type, state_name, message, data, details), of_task_run=True)
        state.state_details.flow_run_id = id_out(flow_run_id)
    return build(
        TaskRun,
        {
            "id": UUID(bytes=id),
            "created": time_out(created),
            "updated": time_out(updated),
            "name": name,
            "flow_run_id": id_out(flow_run_id),
            "task_key": task_key,
            "dynamic_key": dynamic_key,
            "cache_key": cache_key,
            "cache_expiration": time_out(cache_expiration),
            "task_version": version,
            "empirical_policy": build(TaskRunPolicy, {**_POLICY, **(json_out(policy) or {})}),
            "tags": json_out(tags) or [],
            "labels": json_out(labels) or {},
            "state_id": id_out(state_id),
            "task_inputs": {key: [_input(source) for source in sources] for key, sources in json_out(inputs).items()} if inputs else {},
            "state_type": state.type if state else None,
            "state_name": state_name,
            "run_count": run_count,
            "flow_run_run_count": flow_run_run_count,
            "expected_start_time": time_out(expected),
            "next_scheduled_start_time": time_out(scheduled),
            "start_time": time_out(start),
            "end_time": time_out(end),
            "total_run_time": timedelta(microseconds=total),
            "estimated_run_time": timedelta(microseconds=run_time(state_type, state_timestamp, total, now_us)),
            "estimated_start_time_delta": timedelta(microseconds=lateness(state_type, expected, start, end, now_us)),
            "state": state,
        },
    )


_INPUTS = {"task_run": TaskRunResult, "flow_run": FlowRunResult, "parameter": Parameter, "constant": Constant}


def _input(source: dict[str, Any]) -> TaskInput:
    values = {**source, "id": UUID(source["id"])} if "id" in source else source
    return build(_INPUTS[source["input_type"]], values)
