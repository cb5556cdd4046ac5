"""Between rows in storage form and the shapes of `model`. Rows are trusted, so nothing is validated again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel

from headrace.model.flow_runs import CreatedBy, FlowRun, FlowRunPolicy
from headrace.model.flows import Flow
from headrace.model.orchestration import OrchestrationResult
from headrace.model.states import State, StateDetails, StateType
from headrace.store.codec import id_out, json_in, json_out, microseconds, time_out

M = TypeVar("M", bound=BaseModel)


def build(cls: type[M], values: dict[str, Any]) -> M:
    """Make a model of values that are known to be right and complete."""
    made = cls.__new__(cls)
    object.__setattr__(made, "__dict__", values)
    object.__setattr__(made, "__pydantic_fields_set__", set(values))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


def own(policy: BaseModel) -> str | None:
    """Store a policy: only what says something, so that the usual one takes no space."""
    told = without_usual(policy.__dict__)
    return json_in(told) if told else None


def without_usual(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy without what is read again as it was: no retries is the usual, not to speak of them is not."""
    return {key: value for key, value in policy.items() if value or (value is None and key in ("retries", "retry_delay"))}


_DETAILS = {name: field.default for name, field in StateDetails.model_fields.items()}
_ID_DETAILS = ("child_flow_run_id", "transition_id", "task_parameters_id", "deployment_concurrency_lease_id")
_TIME_DETAILS = ("scheduled_time", "cache_expiration", "pause_timeout")


def details_in(details: StateDetails) -> str | None:
    """Store a state's details without its run's own id, which the row has anyway, and without what says nothing."""
    told = {
        key: value
        for key, value in details.__dict__.items()
        if value is not None and value is not _DETAILS[key] and key != "flow_run_id" and key != "task_run_id"
    }
    return json_in(told) if told else None


def details_out(text: str | None, flow_run_id: UUID | None, task_run_id: UUID | None) -> StateDetails:
    """Read what `details_in` stored. No schema of pydantic takes part: making one costs more than a small flow run."""
    values = dict(_DETAILS)
    if text:
        values.update(json_out(text))
        for name in _ID_DETAILS:
            if values[name] is not None:
                values[name] = UUID(values[name])
        for name in _TIME_DETAILS:
            if values[name] is not None:
                values[name] = datetime.fromisoformat(values[name])
    values["flow_run_id"] = flow_run_id
    values["task_run_id"] = task_run_id
    return build(StateDetails, values)


_FLOW_RUN_POLICY = {name: field.default for name, field in FlowRunPolicy.model_fields.items()}


def flow_run_policy_out(text: str | None) -> FlowRunPolicy:
    """Read a flow run's policy."""
    values: dict[str, Any] = {**_FLOW_RUN_POLICY, "retries": 0, "retry_delay": 0, **(json_out(text) or {})}
    values["pause_keys"] = set(values["pause_keys"]) if text and "pause_keys" in text else set()
    return build(FlowRunPolicy, values)


def state_out(row: Sequence[Any], *, of_task_run: bool) -> State:
    """Read a row of `STATE_COLUMNS`."""
    run_id = UUID(bytes=row[1])
    when = time_out(row[2])
    values = {
        "id": UUID(bytes=row[0]),
        "type": StateType(row[3]),
        "name": row[4],
        "timestamp": when,
        "message": row[5],
        "data": json_out(row[6]),
        "state_details": details_out(row[7], None if of_task_run else run_id, run_id if of_task_run else None),
        "created": when,
        "updated": when,
    }
    return build(State, values)


def flow_out(row: Sequence[Any]) -> Flow:
    """Read a row of `FLOW_COLUMNS`."""
    return build(
        Flow,
        {
            "id": UUID(bytes=row[0]),
            "created": time_out(row[1]),
            "updated": time_out(row[2]),
            "name": row[3],
            "tags": json_out(row[4]) or [],
            "labels": json_out(row[5]) or {},
        },
    )


def flow_run_out(row: Sequence[Any], now_us: int) -> FlowRun:
    """Read a row of `FLOW_RUN_COLUMNS` and its state; `now_us` is the moment of the estimates."""
    (
        id, created, updated, flow_id, name, state_id, state_type, state_name, state_timestamp, run_count, expected, scheduled, start, end,
        total, parameters, context, tags, labels, policy, parent, _owner, version, idempotency_key, deployment_id, deployment_version,
        work_queue_id, work_queue_name, work_pool_id, work_pool_name, auto_scheduled, infrastructure, pid, job_variables, created_by,
        message, data, details,
    ) = row  # fmt: skip
    state = None
    if state_id is not None:
        state = state_out((state_id, id, state_timestamp, state_type, state_name, message, data, details), of_task_run=False)
    return build(
        FlowRun,
        {
            "id": UUID(bytes=id),
            "created": time_out(created),
            "updated": time_out(updated),
            "name": name,
            "flow_id": UUID(bytes=flow_id),
            "state_id": id_out(state_id),
            "deployment_id": id_out(deployment_id),
            "deployment_version": deployment_version,
            "work_queue_id": id_out(work_queue_id),
            "work_queue_name": work_queue_name,
            "flow_version": version,
            "parameters": json_out(parameters) or {},
            "idempotency_key": idempotency_key,
            "context": json_out(context) or {},
            "empirical_policy": flow_run_policy_out(policy),
            "tags": json_out(tags) or [],
            "labels": {
                "prefect.flow.id": str(UUID(bytes=flow_id)),
                **({"prefect.deployment.id": str(UUID(bytes=deployment_id))} if deployment_id is not None else {}),
                **(json_out(labels) or {}),
            },
            "parent_task_run_id": id_out(parent),
            "state_type": state.type if state else None,
            "state_name": state_name,
            "run_count": run_count,
            "expected_start_time": time_out(expected),
            "next_scheduled_start_time": time_out(scheduled),
            "start_time": time_out(start),
            "end_time": time_out(end),
            "total_run_time": timedelta(microseconds=total),
            "estimated_run_time": timedelta(microseconds=run_time(state_type, state_timestamp, total, now_us)),
            "estimated_start_time_delta": timedelta(microseconds=lateness(state_type, expected, start, end, now_us)),
            "auto_scheduled": bool(auto_scheduled),
            "infrastructure_document_id": id_out(infrastructure),
            "infrastructure_pid": pid,
            "created_by": CreatedBy.model_validate_json(created_by) if created_by else None,
            "work_pool_id": id_out(work_pool_id),
            "work_pool_name": work_pool_name,
            "state": state,
            "job_variables": json_out(job_variables),
        },
    )


def run_time(state_type: str | None, state_timestamp: int | None, total: int, now_us: int) -> int:
    """Return the microseconds spent running, those of a RUNNING state that lasts included."""
    if state_type == StateType.RUNNING and state_timestamp is not None:
        return total + max(0, now_us - state_timestamp)
    return total


def status_of(result: OrchestrationResult, began_us: int) -> int:
    """Return the HTTP status of a proposal's answer: 201 when it wrote a state, whichever, since `began_us`."""
    return 201 if result.state is not None and microseconds(result.state.timestamp) >= began_us else 200


def lateness(state_type: str | None, expected: int | None, start: int | None, end: int | None, now_us: int) -> int:
    """Return the microseconds by which the run started after it was expected, or by which it is late so far."""
    if expected is None:
        return 0
    if start is not None:
        return max(0, start - expected)
    if end is None and state_type is not None:
        return max(0, now_us - expected)
    return 0


def lateness_sql(alias: str, now_us: int) -> str:
    """Return SQL for what `lateness` computes at the moment `now_us`."""
    late = _not_negative(f"{alias}.start_time - {alias}.expected_start_time")
    late_so_far = _not_negative(f"{now_us:d} - {alias}.expected_start_time")
    return (
        f"(CASE WHEN {alias}.start_time IS NOT NULL THEN {late}"
        f" WHEN {alias}.end_time IS NULL AND {alias}.state_type IS NOT NULL THEN {late_so_far} ELSE 0 END)"
    )


def run_time_sql(alias: str, now_us: int) -> str:
    """Return SQL for what `run_time` computes at the moment `now_us`."""
    lasting = _not_negative(f"{now_us:d} - {alias}.state_timestamp")
    return f"({alias}.total_run_time + CASE WHEN {alias}.state_type = 'RUNNING' THEN {lasting} ELSE 0 END)"


def _not_negative(value: str) -> str:
    """Return SQL for `value` or 0, NULL for NULL. (What takes the greater of two is named differently on the two databases.)"""
    return f"CASE WHEN {value} < 0 THEN 0 ELSE {value} END"
