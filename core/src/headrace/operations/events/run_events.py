"""Events of states: what a server tells when a flow run changes its state, and of the task runs that clients report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from headrace.model.events import ReceivedEvent, RelatedResource
from headrace.model.states import State, StateType
from headrace.model.task_run_events import EVENT_PREFIX, ORCHESTRATION
from headrace.operations.events.emitting import as_related, made, related_resource, resource, store
from headrace.operations.pools import due
from headrace.store.codec import json_out, microseconds, moment
from headrace.store.database import Row, Transaction

MESSAGE_LENGTH_MAX = 100_000
FOLLOWS_WITHIN_US = 5 * 60 * 1_000_000
IDS_A_QUERY = 500

_AROUND = (
    "SELECT r.id, r.name, r.run_count, r.tags, r.created_by, r.flow_id, f.name, f.tags, r.deployment_id, d.name, d.tags, q.id, q.name,"
    " p.id, p.name, p.type, t.id, t.name"
    " FROM flow_run r LEFT JOIN flow f ON f.id = r.flow_id LEFT JOIN deployment d ON d.id = r.deployment_id"
    " LEFT JOIN work_queue q ON q.id = r.work_queue_id LEFT JOIN work_pool p ON p.id = r.work_pool_id"
    " LEFT JOIN task_run t ON t.id = r.parent_task_run_id WHERE r.id"
)


# --- flow runs --------------------------------------------------------------------------------------------------------


def tell_flow_run_state(tx: Transaction, run_id: UUID, before: State | None, state: State) -> None:
    """Emit `prefect.flow-run.<state>`; the event has the state's id. The run's row says already what the state changed in it."""
    row = tx.sql_one(f"{_AROUND} = ?", (run_id.bytes,))
    assert row is not None
    due.tell_state(tx, (row[13], row[8]), before, state)
    timestamp = microseconds(state.timestamp)
    follows = None
    if before is not None and timestamp - microseconds(before.timestamp) < FOLLOWS_WITHIN_US:
        follows = before.id
    labels = resource("flow-run", run_id, row[1])
    labels["prefect.run-count"] = str(row[2])
    labels.update(_state_labels(state.name or "", state.type.value, state.message, state.timestamp.isoformat()))
    payload = {
        "intended": {"from": before and before.type.value, "to": state.type.value},
        "initial_state": before and _summary(before),
        "validated_state": _summary(state),
    }
    related = as_related([*_around(row), *_origin(row)])
    store(tx, [made(state.id, f"prefect.flow-run.{state.name}", timestamp, timestamp, labels, related, payload, follows)])


def _state_labels(name: str, kind: str, message: str | None, timestamp: str) -> dict[str, str]:
    return {
        "prefect.state-message": (message or "")[:MESSAGE_LENGTH_MAX],
        "prefect.state-name": name,
        "prefect.state-timestamp": timestamp,
        "prefect.state-type": kind,
    }


def _summary(state: State) -> dict[str, Any]:
    found: dict[str, Any] = {"type": state.type.value, "name": state.name}
    if state.message:
        found["message"] = state.message[:MESSAGE_LENGTH_MAX]
    if state.type is StateType.PAUSED:
        found["pause_reschedule"] = state.state_details.pause_reschedule
    return found


def _around(row: Row) -> list[dict[str, str]]:
    """Return what a flow run's row of `_AROUND` relates it, and its task runs, to."""
    _, _, _, tags, _, flow_id, flow, flow_tags, deployment_id, deployment, deployment_tags, queue_id, queue, pool_id, pool, pool_type, _, _ = row
    found = [related_resource("flow", "flow", UUID(bytes=flow_id), flow)]
    if deployment_id is not None:
        found.append(related_resource("deployment", "deployment", UUID(bytes=deployment_id), deployment))
    if queue_id is not None:
        found.append(related_resource("work-queue", "work-queue", UUID(bytes=queue_id), queue))
    if pool_id is not None:
        found.append({**related_resource("work-pool", "work-pool", UUID(bytes=pool_id), pool), "prefect.work-pool.type": pool_type})
    if tags or flow_tags or deployment_tags:
        every = {*(json_out(tags) or ()), *(json_out(flow_tags) or ()), *(json_out(deployment_tags) or ())}
        found += [related_resource("tag", "tag", tag) for tag in sorted(every)]
    return found


def _origin(row: Row) -> list[dict[str, str]]:
    """Return where a flow run comes from: the task run that it is in its parent, the deployment or automation that made it."""
    found: list[dict[str, str]] = []
    if row[16] is not None:
        found.append(related_resource("task-run", "task-run", UUID(bytes=row[16]), row[17]))
    creator: dict[str, Any] = json_out(row[4]) or {}
    if creator.get("id") and creator.get("type") in ("DEPLOYMENT", "AUTOMATION"):
        found.append(related_resource("creator", creator["type"].lower(), creator["id"], creator.get("display_value")))
    return found


# --- task runs --------------------------------------------------------------------------------------------------------


def tell_task_run_states(tx: Transaction, task_runs: Sequence[dict[str, Any]], received: int) -> None:
    """Emit `prefect.task-run.<state>` for every state of reported task runs that is not told of yet, each with the state's id.

    The rows of the runs still say how they were before.
    """
    around = _flow_runs_around(tx, {run["flow_run_id"] for run in task_runs if run.get("flow_run_id")})
    before = _present_states(tx, [run["id"] for run in task_runs])
    events: list[ReceivedEvent] = []
    for run in task_runs:
        events += _events_of(run, before.get(run["id"]), around.get(run.get("flow_run_id") or "", []), received)
    known = {key for (key,) in _of_ids(tx, "SELECT id FROM events WHERE id", [event.id.bytes for event in events])}
    new = [event for event in events if event.id.bytes not in known]
    if new:
        store(tx, new)


def _of_ids(tx: Transaction, text: str, ids: Sequence[bytes]) -> Iterable[Row]:
    for start in range(0, len(ids), IDS_A_QUERY):
        some = ids[start : start + IDS_A_QUERY]
        yield from tx.sql(f"{text} IN ({', '.join('?' * len(some))})", some)


def _flow_runs_around(tx: Transaction, ids: set[str]) -> dict[str, list[RelatedResource]]:
    found: dict[str, list[RelatedResource]] = {}
    for row in _of_ids(tx, _AROUND, [UUID(id).bytes for id in ids]):
        id = str(UUID(bytes=row[0]))
        found[id] = as_related([related_resource("flow-run", "flow-run", id, row[1]), *_around(row)])
    return found


def _present_states(tx: Transaction, ids: Sequence[str]) -> dict[str, list[Any]]:
    """Return states as records have them, as far as rows of runs tell."""
    text = "SELECT id, state_id, state_type, state_name, state_timestamp FROM task_run WHERE id"
    return {
        str(UUID(bytes=key)): [str(UUID(bytes=state_id)), kind, name, timestamp, None, None, None]
        for key, state_id, kind, name, timestamp in _of_ids(tx, text, [UUID(id).bytes for id in ids])
        if state_id is not None
    }


def _events_of(run: dict[str, Any], before: list[Any] | None, related: list[RelatedResource], received: int) -> Iterable[ReceivedEvent]:
    run_id = run["id"]
    told: dict[str, Any] = {key: run.get(key) for key in ("name", "task_key", "dynamic_key")}
    told["empirical_policy"] = {key: run.get(key) for key in ("retries", "retry_delay", "retry_jitter_factor")}
    told.update(tags=run.get("tags") or [], labels=run.get("labels") or {}, task_inputs=run.get("task_inputs") or {})
    told.update(run_count=run.get("run_count", 0), flow_run_run_count=run.get("flow_run_run_count", 0))
    told.update({key: _time(run.get(key)) for key in ("expected_start_time", "start_time")})
    for state in run["states"]:
        id, kind, name, timestamp, message, data, _ = state
        when = moment(timestamp).isoformat()
        is_last = state is run["states"][-1]
        labels = resource("task-run", run_id, run["name"])
        labels["prefect.run-count"] = str(run.get("run_count", 0))
        labels.update(_state_labels(name, kind, message, when))
        labels[ORCHESTRATION] = "client"
        payload: dict[str, Any] = {
            "intended": {"from": before and before[1], "to": kind},
            "initial_state": before and _told(before),
            "validated_state": {**_told(state), "data": data},
            "task_run": {**told, "end_time": _time(run.get("end_time")), "total_run_time": run.get("total_run_time", 0)} if is_last else told,
        }
        follows = UUID(before[0]) if before is not None and timestamp - before[3] < FOLLOWS_WITHIN_US else None
        yield made(UUID(id), f"{EVENT_PREFIX}{name}", timestamp, received, labels, related, payload, follows)
        before = state


def _told(state: list[Any]) -> dict[str, Any]:
    return {"type": state[1], "name": state[2], "message": state[4] or "", "state_details": state[6] or {}}


def _time(microseconds: int | None) -> str | None:
    return None if microseconds is None else moment(microseconds).isoformat()
