"""Which runs the code that executes now belongs to. The engine sets it; everything above the client may read it."""

from __future__ import annotations

from contextvars import ContextVar, Token
from uuid import UUID

RunIds = tuple[UUID | None, UUID | None]

_current: ContextVar[RunIds] = ContextVar("headrace_current_run", default=(None, None))


def run_ids() -> RunIds:
    """Return the ids of the current flow run and task run, each None where there is none."""
    return _current.get()


def set_run_ids(flow_run_id: UUID | None, task_run_id: UUID | None) -> Token[RunIds]:
    """Say which runs the code in this context belongs to; give the token to `reset` when it ends."""
    return _current.set((flow_run_id, task_run_id))


def reset(token: Token[RunIds]) -> None:
    """Undo the `set_run_ids` that returned `token`."""
    _current.reset(token)
