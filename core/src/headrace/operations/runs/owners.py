"""Owners of runs: what a process left unfinished when it died."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.endpoints import owners as endpoints
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.operations.limits.slots import release_leases_of_run
from headrace.operations.runs import transitions
from headrace.operations.table import Operation
from headrace.operations.upkeep import signs_of_life
from headrace.store.codec import json_out
from headrace.store.database import Transaction

FLOW_RUN_MESSAGE = "The process that ran this flow run ended without reporting; nothing of it runs any more."
HANDED_BACK_MESSAGE = "The worker that took this flow run ended before the run began; it waits for another."
HAND_BACKS_MAX = 10
"""How often a run is scheduled again that no worker lived to begin: it may be what ends them."""
GIVEN_UP_MESSAGE = f"{HAND_BACKS_MAX + 1} workers took this flow run and ended before it began. No other is given it, as it may be what ends them."
OWN_MACHINE = "process"
"""The type of pools whose workers start runs on their own machine: what they began to start when they died comes at once, or never."""
INFRASTRUCTURE_PATIENCE = timedelta(minutes=15)
"""How long a run may be about to start whose worker is gone: its infrastructure may come by itself."""
TASK_RUN_MESSAGE = "The process that ran this task run ended without reporting; nothing of it runs any more."


def crash_owned_runs(tx: Transaction, *, id: UUID, patience: timedelta = INFRASTRUCTURE_PATIENCE) -> int:
    """Mark every unfinished flow run of this owner, and its unfinished task runs, as Crashed. Return how many flow runs that were.

    A suspended run, and one of a deployment that is scheduled again, waits for another process and stays as it is. A run that a worker took
    and that has not begun is scheduled again, ten times at most: at once, or when infrastructure that may still come did not come within `patience`.
    """
    found = tx.sql(
        "SELECT r.id, r.state_type, r.state_name, r.state_timestamp, r.deployment_id, s.details, p.type FROM flow_run r"
        " LEFT JOIN flow_run_state s ON s.id = r.state_id LEFT JOIN work_pool p ON p.id = r.work_pool_id WHERE r.owner_id = ? AND r.end_time IS NULL",
        (id.bytes,),
    )
    runs: list[bytes] = []
    messages: dict[bytes, str] = {}
    young = clock.now_us() - patience // timedelta(microseconds=1)
    for run, state_type, state_name, timestamp, deployment, stored, pool_type in found:
        details: dict[str, Any] = json_out(stored) or {}
        if _waits_for_another(state_type, deployment, details):
            continue
        if state_type == StateType.PENDING and (deployment is not None or pool_type is not None):
            if not (state_name == "Pending" or pool_type == OWN_MACHINE or timestamp <= young):
                continue
            if _may_be_handed_back(tx, run):
                _hand_back(tx, run)
                continue
            messages[run] = GIVEN_UP_MESSAGE
        runs.append(run)
    for run in runs:
        for (task,) in tx.sql("SELECT id FROM task_run WHERE flow_run_id = ? AND end_time IS NULL", (run,)):
            transitions.set_task_run_state(tx, UUID(bytes=task), _crashed(TASK_RUN_MESSAGE))
        transitions.set_flow_run_state(tx, UUID(bytes=run), _crashed(messages.get(run, FLOW_RUN_MESSAGE)))
        release_leases_of_run(tx, run)
    return len(runs)


def _may_be_handed_back(tx: Transaction, run: bytes) -> bool:
    row = tx.sql_one("SELECT COUNT(*) FROM flow_run_state WHERE flow_run_id = ? AND message = ?", (run, HANDED_BACK_MESSAGE))
    return row is None or row[0] < HAND_BACKS_MAX


def _hand_back(tx: Transaction, run: bytes) -> None:
    """Schedule a run again that was taken and not begun."""
    scheduled = StateDetails(scheduled_time=clock.now())
    state = StateCreate(type=StateType.SCHEDULED, message=HANDED_BACK_MESSAGE, state_details=scheduled)
    transitions.set_flow_run_state(tx, UUID(bytes=run), SetState(state=state, force=True))
    tx.sql("UPDATE flow_run SET owner_id = NULL, infrastructure_pid = NULL WHERE id = ?", (run,))
    release_leases_of_run(tx, run)


def waits_for_infrastructure(tx: Transaction, owner: bytes) -> bool:
    """Say whether runs that this owner took have infrastructure that may still come."""
    return tx.sql_one("SELECT 1 FROM flow_run WHERE owner_id = ? AND end_time IS NULL AND state_type = 'PENDING' LIMIT 1", (owner,)) is not None


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
