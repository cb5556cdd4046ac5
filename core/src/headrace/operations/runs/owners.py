"""Owners of runs: what a process left unfinished when it died."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.endpoints import owners as endpoints
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate, StateType
from headrace.operations.limits.slots import release_leases_of_run
from headrace.operations.runs import transitions
from headrace.operations.table import Operation
from headrace.operations.upkeep import signs_of_life
from headrace.store.codec import json_out
from headrace.store.database import Transaction

FLOW_RUN_MESSAGE = "The process that ran this flow run ended without reporting; nothing of it runs any more."
TASK_RUN_MESSAGE = "The process that ran this task run ended without reporting; nothing of it runs any more."


def crash_owned_runs(tx: Transaction, *, id: UUID) -> int:
    """Mark every unfinished flow run of this owner, and its unfinished task runs, as Crashed. Return how many flow runs that were.

    A suspended run, and one of a deployment that is scheduled again, waits for another process and stays as it is.
    """
    found = tx.sql(
        "SELECT r.id, r.state_type, r.deployment_id, s.details FROM flow_run r LEFT JOIN flow_run_state s ON s.id = r.state_id"
        " WHERE r.owner_id = ? AND r.end_time IS NULL",
        (id.bytes,),
    )
    runs = [run for run, state_type, deployment, details in found if not _waits_for_another(state_type, deployment, json_out(details) or {})]
    for run in runs:
        for (task,) in tx.sql("SELECT id FROM task_run WHERE flow_run_id = ? AND end_time IS NULL", (run,)):
            transitions.set_task_run_state(tx, UUID(bytes=task), _crashed(TASK_RUN_MESSAGE))
        transitions.set_flow_run_state(tx, UUID(bytes=run), _crashed(FLOW_RUN_MESSAGE))
        release_leases_of_run(tx, run)
    return len(runs)


def heartbeat(tx: Transaction, *, id: UUID) -> None:
    """Note that this owner lives. From its first sign of life on it is watched: when no more come, its runs are Crashed."""
    signs_of_life.note(tx, "owner", id.bytes, clock.now_us())


def _waits_for_another(state_type: str, deployment: bytes | None, details: dict[str, Any]) -> bool:
    if state_type == StateType.PAUSED:
        return bool(details.get("pause_reschedule"))
    return state_type == StateType.SCHEDULED and deployment is not None


def _crashed(message: str) -> SetState:
    return SetState(state=StateCreate(type=StateType.CRASHED, message=message), force=True)


OPERATIONS = {
    endpoints.CRASH_OWNED_RUNS: Operation(crash_owned_runs, writes=True),
    endpoints.OWNER_HEARTBEAT: Operation(heartbeat, writes=True),
}
