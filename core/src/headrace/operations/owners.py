"""Owners of runs: what a process left unfinished when it died."""

from __future__ import annotations

from uuid import UUID

from headrace.model.endpoints import owners as endpoints
from headrace.model.orchestration import SetState
from headrace.model.states import TERMINAL_STATES, StateCreate, StateType
from headrace.operations import transitions
from headrace.operations.table import Operation
from headrace.store.database import Transaction

MESSAGE = "The process that ran this flow run ended without reporting; nothing of it runs any more."

_FINAL = ", ".join(f"'{kind.value}'" for kind in sorted(TERMINAL_STATES))


def crash_owned_runs(tx: Transaction, *, id: UUID) -> int:
    """Mark every unfinished flow run of this owner, and its unfinished task runs, as Crashed. Return how many flow runs that were."""
    runs = tx.sql(f"SELECT id FROM flow_run WHERE owner_id = ? AND end_time IS NULL AND state_type NOT IN ({_FINAL})", (id.bytes,))
    for (run,) in runs:
        tasks = tx.sql(f"SELECT id FROM task_run WHERE flow_run_id = ? AND state_type NOT IN ({_FINAL})", (run,))
        for (task,) in tasks:
            transitions.set_state(tx, "task_run", UUID(bytes=task), _crashed(), None)
        transitions.set_state(tx, "flow_run", UUID(bytes=run), _crashed(), None)
    return len(runs)


def _crashed() -> SetState:
    return SetState(state=StateCreate(type=StateType.CRASHED, message=MESSAGE), force=True)


OPERATIONS = {endpoints.CRASH_OWNED_RUNS: Operation(crash_owned_runs, writes=True)}
