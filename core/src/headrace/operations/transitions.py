"""Writing a state: the facts are read, the rules decide, the state row and the run row are written."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.errors import ObjectNotFound
from headrace.model.orchestration import OrchestrationResult, SetState, SetStateStatus, StateAcceptDetails
from headrace.model.states import TERMINAL_STATES, State, StateCreate, StateType
from headrace.operations.encoding import build, details_in
from headrace.store.codec import json_in, time_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

Kind = Literal["flow_run", "task_run"]

_UPDATES = {"flow_run": statements.UPDATE_FLOW_RUN_STATE, "task_run": statements.UPDATE_TASK_RUN_STATE}
_INSERTS = {"flow_run": statements.INSERT_FLOW_RUN_STATE, "task_run": statements.INSERT_TASK_RUN_STATE}


def new_state(proposed: StateCreate, kind: Kind, run_id: UUID) -> State:
    """Make the state that a proposal asks for."""
    values = {
        "id": proposed.id or ids.new(),
        "type": proposed.type,
        "name": proposed.name,
        "timestamp": clock.now(),
        "message": proposed.message,
        "data": proposed.data,
        "state_details": proposed.state_details,
        "created": None,
        "updated": None,
    }
    state = build(State, values)
    setattr(state.state_details, f"{kind}_id", run_id)
    return state


def insert_state(tx: Transaction, kind: Kind, run_id: UUID, state: State) -> None:
    tx.sql(
        _INSERTS[kind],
        (
            state.id.bytes,
            run_id.bytes,
            clock.to_us(state.timestamp),
            state.type.value,
            state.name,
            state.message,
            json_in(state.data),
            details_in(state.state_details),
        ),
    )


def set_state(tx: Transaction, kind: Kind, run_id: UUID, body: SetState, owner: UUID | None) -> OrchestrationResult:
    row = tx.sql_one(
        "SELECT state_type, state_timestamp, run_count, expected_start_time, start_time, total_run_time, empirical_policy, "
        + ("owner_id" if kind == "flow_run" else "flow_run_run_count")
        + f" FROM {kind} WHERE id = ?",
        (run_id.bytes,),
    )
    if row is None:
        raise ObjectNotFound(help_message=f"{'Flow' if kind == 'flow_run' else 'Task'} run with id {run_id} not found")
    before, before_us, run_count, expected, start, total, policy, last = row
    state = new_state(body.state, kind, run_id)
    now = clock.to_us(state.timestamp)
    if before_us is not None and now <= before_us:
        now = before_us + 1
        state.timestamp = clock.from_us(now)
    if before == StateType.RUNNING:
        total += now - before_us
    if state.type is StateType.RUNNING:
        run_count += 1
        start = now if start is None else start
    end = now if state.type in TERMINAL_STATES else None
    scheduled = time_in(state.state_details.scheduled_time) if state.type is StateType.SCHEDULED else None
    if expected is None:
        expected = scheduled if scheduled is not None else now
    if kind == "flow_run" and owner is not None:
        last = owner.bytes
    insert_state(tx, kind, run_id, state)
    tx.sql(
        _UPDATES[kind],
        (
            now,
            state.id.bytes,
            state.type.value,
            state.name,
            now,
            run_count,
            expected,
            scheduled,
            start,
            end,
            total,
            policy,
            last,
            run_id.bytes,
        ),
    )
    return build(OrchestrationResult, {"state": state, "status": SetStateStatus.ACCEPT, "details": StateAcceptDetails()})
