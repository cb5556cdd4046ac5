"""What the steps of the services share: a run is claimed before it is changed, and one that fails does not hold up the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar, cast
from uuid import UUID

from headrace.model.errors import StoreUnavailable
from headrace.model.orchestration import SetState
from headrace.model.states import StateCreate, StateType
from headrace.operations.runs import transitions
from headrace.store.database import Transaction

T = TypeVar("T")

logger = logging.getLogger("headrace.server.services")


def claim(tx: Transaction, run_id: bytes, state_id: bytes) -> bool:
    """Lock a flow run until the transaction ends, and say whether it is still in the state that it was found in: another server may be quicker."""
    tx.lock("flow_run", "id", [run_id])
    return tx.sql_one("SELECT 1 FROM flow_run WHERE id = ? AND state_id = ?", (run_id, state_id)) is not None


def each(tx: Transaction, found: Iterable[T], change: Callable[[T], bool]) -> int:
    """Apply `change` to each, and return how many it changed. What raises is taken back by itself, logged, and found again next time."""
    changed = 0
    for one in found:
        published = len(tx.published)
        tx.sql_count("SAVEPOINT one")
        try:
            changed += change(one)
        except StoreUnavailable:
            raise  # the whole transaction is tried again
        except Exception:  # one bad row must not stop all others; an unusable connection raises again below
            tx.sql_count("ROLLBACK TO SAVEPOINT one")
            del tx.published[published:]
            logger.exception("A service could not deal with %s; it goes on with the others.", _shown(one))
        tx.sql_count("RELEASE SAVEPOINT one")
    return changed


def move(tx: Transaction, run_id: bytes, kind: StateType, message: str, *, force: bool = True) -> None:
    """Put a flow run in a state; its rules are skipped (`force`) or asked."""
    transitions.set_flow_run_state(tx, UUID(bytes=run_id), SetState(state=StateCreate(type=kind, message=message), force=force))


def end_task(tx: Transaction, run_id: bytes, kind: StateType, message: str) -> None:
    """Put a task run in a final state, whatever it is in."""
    transitions.set_task_run_state(tx, UUID(bytes=run_id), SetState(state=StateCreate(type=kind, message=message), force=True))


def _shown(one: object) -> str:
    parts = cast("tuple[object, ...]", one) if isinstance(one, tuple) else (one,)
    return ", ".join(str(UUID(bytes=part)) if isinstance(part, bytes) and len(part) == 16 else repr(part) for part in parts)
