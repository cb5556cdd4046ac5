"""Telling workers and runners that there is something for them, so that they need not ask in vain: what the topic "runs" carries.

A key is the text of a pool's or a deployment's id: a run of it may be started now. With `!` in front: a run of it is being cancelled. Nothing
that is told here is needed for correctness; who hears of it asks in the usual way, and asks now and then without having heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from headrace.model.states import State, StateType
from headrace.operations.conditions import field_of
from headrace.store.database import Transaction

TOPIC = "runs"
CANCELLING = "!"
LOOKED_AT_MAX = 50
"""Runs of one key that are looked at to find new ones."""

_HOLDS_SLOT = frozenset({StateType.PENDING, StateType.RUNNING, StateType.CANCELLING})
_WAITING = f"r.state_type = 'SCHEDULED' AND COALESCE({field_of('r.empirical_policy', 'retry_type')}, '') <> 'in_process'"


def tell_state(tx: Transaction, ids: Iterable[bytes | None], before: State | None, state: State) -> None:
    """Tell what a flow run's new state means for those who start runs; `ids`: its pool, its deployment."""
    if state.type is StateType.CANCELLING:
        mark = CANCELLING
    elif state.type is StateType.SCHEDULED or (before is not None and before.type in _HOLDS_SLOT and state.type not in _HOLDS_SLOT):
        mark = ""
    else:
        return
    keys = [f"{mark}{UUID(bytes=id)}" for id in ids if id is not None]
    if keys:
        tx.publish(TOPIC, keys)


def tell(tx: Transaction, ids: Iterable[UUID | None]) -> None:
    """Tell that more runs of these pools and deployments may be started than before."""
    keys = [str(id) for id in ids if id is not None]
    if keys and tx.caller.is_server:
        tx.publish(TOPIC, keys)


@dataclass(slots=True)
class Waiting:
    """Runs that wait to be started: those that are due, and when the next one is."""

    due: list[bytes] = field(default_factory=list[bytes])
    next: int | None = None


def pool_key(tx: Transaction, name: str) -> UUID | None:
    """Return the id of the pool of that name, if there is one."""
    row = tx.sql_one("SELECT id FROM work_pool WHERE name = ?", (name,))
    return UUID(bytes=row[0]) if row is not None else None


def waiting(tx: Transaction, pools: Sequence[UUID], deployments: Sequence[UUID], until: int) -> dict[UUID, Waiting]:
    """Return, of each of these that has any, the runs that wait to be started: due until the time `until`, in microseconds, or next."""
    found: dict[UUID, Waiting] = {}
    for pool in pools:
        queues = [row[0] for row in tx.sql("SELECT id FROM work_queue WHERE work_pool_id = ?", (pool.bytes,))]
        for queue in queues:
            _add(tx, found, pool, "r.work_queue_id = ?", queue, until)
    for deployment in deployments:
        _add(tx, found, deployment, "r.deployment_id = ?", deployment.bytes, until)
    return found


def _add(tx: Transaction, found: dict[UUID, Waiting], key: UUID, where: str, value: bytes, until: int) -> None:
    order = "ORDER BY r.next_scheduled_start_time LIMIT"
    select = f"FROM flow_run r WHERE {where} AND {_WAITING} AND r.next_scheduled_start_time"
    due = tx.sql(f"SELECT r.id {select} <= ? {order} {LOOKED_AT_MAX}", (value, until))
    later = tx.sql_one(f"SELECT r.next_scheduled_start_time {select} > ? {order} 1", (value, until))
    entry = found.setdefault(key, Waiting())
    entry.due += [id for (id,) in due]
    if later is not None:
        entry.next = later[0] if entry.next is None else min(entry.next, later[0])
