"""Letting a paused flow run go on, with the inputs that it waits for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.errors import ObjectNotFound
from headrace.model.orchestration import OrchestrationResult, SetState, SetStateStatus, StateAbortDetails, StateRejectDetails
from headrace.model.states import State, StateCreate, StateDetails, StateType
from headrace.operations.runs import transitions
from headrace.operations.runs.encoding import build, state_out
from headrace.rules.schema_check import problems
from headrace.store.codec import json_in, json_out
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements


def resume(tx: Transaction, run_id: UUID, inputs: dict[str, Any] | None) -> OrchestrationResult:
    """Resume: a suspended run is scheduled for now, a paused one runs on. Inputs are checked against the schema that the pause stored.

    Raises `ObjectNotFound`. A run that is not paused is answered with ABORT, inputs that do not fit with REJECT.
    """
    state = _state(tx, run_id)
    if state is None or state.type is not StateType.PAUSED:
        return _refusal(None, SetStateStatus.ABORT, "Cannot resume a flow run that is not paused.")
    keys = state.state_details.run_input_keyset
    given = inputs or {}
    if keys:
        found = _problems(tx, run_id, keys, given)
        if found:
            return _refusal(state, SetStateStatus.REJECT, f"Reason: {'; '.join(found)}")
    if state.state_details.pause_reschedule:
        proposed = StateCreate(type=StateType.SCHEDULED, name="Resuming", state_details=StateDetails(scheduled_time=clock.now()))
    else:
        proposed = StateCreate(type=StateType.RUNNING)
    answer = transitions.set_flow_run_state(tx, run_id, SetState(state=proposed))
    if keys and answer.status is SetStateStatus.ACCEPT:
        now = clock.now_us()
        tx.sql(
            "INSERT INTO flow_run_input (id, created, updated, flow_run_id, key, value) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (flow_run_id, key) DO UPDATE SET value = excluded.value, updated = excluded.updated",
            (ids.new().bytes, now, now, run_id.bytes, keys["response"], json_in(given)),
        )
    return answer


def _state(tx: Transaction, run_id: UUID) -> State | None:
    row = tx.sql_one("SELECT state_id FROM flow_run WHERE id = ?", (run_id.bytes,))
    if row is None:
        raise ObjectNotFound(help_message=f"Flow run with id {run_id} not found")
    found = tx.sql_one(statements.SELECT_FLOW_RUN_STATE, (row[0],))
    return state_out(found, of_task_run=False) if found is not None else None


def _problems(tx: Transaction, run_id: UUID, keys: dict[str, str], given: dict[str, Any]) -> list[str]:
    row = tx.sql_one("SELECT value FROM flow_run_input WHERE flow_run_id = ? AND key = ?", (run_id.bytes, keys["schema"]))
    if row is None:
        return ["Run input schema not found."]
    return problems(json_out(row[0]), given)


def _refusal(state: State | None, status: SetStateStatus, reason: str) -> OrchestrationResult:
    details = StateAbortDetails(reason=reason) if status is SetStateStatus.ABORT else StateRejectDetails(reason=reason)
    return build(OrchestrationResult, {"state": state, "status": status, "details": details})
