"""What holds a run: the facts that `rules.holding` asks for, read in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.concurrency import TAG_PREFIX
from headrace.model.endpoints import holding as endpoints
from headrace.model.errors import ObjectNotFound
from headrace.model.flow_runs import FlowRun
from headrace.model.holding import Holder, Holding
from headrace.model.states import StateDetails, StateType
from headrace.model.task_runs import TaskRun
from headrace.operations.conditions import field_of
from headrace.operations.limits.slot_holders import slot_holders
from headrace.operations.limits.slots import LIMITS, Limit, find_limit, limit_out
from headrace.operations.pools.pool_rows import SLOT_STATES, pool_with_id, queue_with_id
from headrace.operations.runs.flow_runs import read_flow_run
from headrace.operations.runs.task_runs import read_task_run
from headrace.operations.table import Operation
from headrace.rules.holding import Facts, Limited, Place, deployment_causes, holding, summary
from headrace.rules.slots import active_slots, has_room
from headrace.settings import get_current_settings
from headrace.store.codec import json_out, time_out
from headrace.store.database import Transaction

HOLDERS_MAX = 10
"""Runs with slots that are named."""
PARTS_MAX = 50
"""Task runs of a flow run that are looked at."""


def why_flow_run(tx: Transaction, *, id: UUID) -> Holding:
    """Tell what holds a flow run, and what holds the task runs in it that wait. Raises `ObjectNotFound`."""
    run = read_flow_run(tx, id=id)
    answer = _answer(_flow_facts(tx, run, clock.now()), run)
    if run.state_type is StateType.RUNNING:
        rows = tx.sql(
            "SELECT id FROM task_run WHERE flow_run_id = ? AND end_time IS NULL AND state_type IN ('PENDING', 'SCHEDULED') ORDER BY id LIMIT ?",
            (id.bytes, PARTS_MAX),
        )
        for (task_run,) in rows:
            part = why_task_run(tx, id=UUID(bytes=task_run))
            answer.causes += [
                cause.model_copy(update={"run_id": part.id, "message": f"Task run {part.name!r} waits: {cause.message}"}) for cause in part.causes
            ]
        if answer.causes:
            answer.summary = f"Flow run {run.name!r} runs, but parts of it wait."
    return answer


def why_task_run(tx: Transaction, *, id: UUID) -> Holding:
    """Tell what holds a task run. Raises `ObjectNotFound`."""
    run = read_task_run(tx, id=id)
    now = clock.now()
    facts = replace(
        _facts(run, "task-run", now),
        due=run.next_scheduled_start_time,
        waits_in_process=run.state_type is StateType.SCHEDULED and not (run.state is not None and run.state.state_details.deferred),
        limits=tuple(_full_tags(tx, run, now)),
        task_workers=_task_workers(tx, run.task_key),
        task_key=run.task_key,
    )
    return _answer(facts, run)


def why_deployment(tx: Transaction, *, id: UUID) -> Holding:
    """Tell why a deployment makes no runs, and what holds the next of its runs that waits. Raises `ObjectNotFound`."""
    place = _deployment(tx, id, clock.now())
    if place is None:
        raise ObjectNotFound(help_message=f"Deployment not found: no deployment has the id {id}.")
    schedules, active = tx.sql(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN active THEN 1 ELSE 0 END), 0) FROM deployment_schedule WHERE deployment_id = ?", (id.bytes,)
    )[0]
    causes = deployment_causes(place, schedules, active)
    waiting = tx.sql_one(
        "SELECT id FROM flow_run WHERE deployment_id = ? AND state_type IN ('SCHEDULED', 'PAUSED', 'CANCELLING')"
        " ORDER BY next_scheduled_start_time, id LIMIT 1",
        (id.bytes,),
    )
    if waiting is not None:
        run = why_flow_run(tx, id=UUID(bytes=waiting[0]))
        causes += [cause.model_copy(update={"run_id": run.id, "message": f"Flow run {run.name!r} waits: {cause.message}"}) for cause in run.causes]
    text = f"Deployment {place.name!r}: {causes[0].message}" if causes else f"Nothing holds the runs of deployment {place.name!r}."
    return Holding(kind="deployment", id=id, name=place.name, summary=text, causes=causes)


def _answer(facts: Facts, run: FlowRun | TaskRun) -> Holding:
    causes = holding(facts)
    return Holding(
        kind=facts.kind,
        id=run.id,
        name=run.name,
        state_type=run.state_type,
        state_name=run.state_name,
        state_message=run.state.message if run.state is not None else None,
        since=facts.since,
        summary=summary(facts, causes),
        causes=causes,
    )


def _facts(run: FlowRun | TaskRun, kind: str, now: datetime) -> Facts:
    state = run.state
    return Facts(
        id=run.id,
        name=run.name,
        kind=kind,
        now=now,
        state_type=run.state_type,
        state_name=run.state_name,
        since=state.timestamp if state is not None else None,
        details=state.state_details if state is not None else StateDetails(),
    )


def _flow_facts(tx: Transaction, run: FlowRun, now: datetime) -> Facts:
    row = tx.sql_one(
        f"SELECT work_queue_id, next_scheduled_start_time, {field_of('empirical_policy', 'retry_type')} FROM flow_run WHERE id = ?", (run.id.bytes,)
    )
    assert row is not None, "the run was read in this transaction"
    facts = replace(
        _facts(run, "flow-run", now),
        due=time_out(row[1]),
        waits_in_process=row[2] == "in_process",
        is_nested=run.parent_task_run_id is not None,
        deployment=_deployment(tx, run.deployment_id, now) if run.deployment_id is not None else None,
    )
    return facts if row[0] is None else _with_places(tx, facts, UUID(bytes=row[0]), now)


def _with_places(tx: Transaction, facts: Facts, queue_id: UUID, now: datetime) -> Facts:
    queue = queue_with_id(tx, queue_id)
    assert queue.work_pool_id is not None, "a stored queue belongs to a pool"
    pool = pool_with_id(tx, queue.work_pool_id)
    lately = _polled_after(now)
    foreman = get_current_settings().server.services.foreman
    online, seen = tx.sql(
        "SELECT COALESCE(SUM(CASE WHEN status = 'ONLINE' AND last_heartbeat_time >= ? - COALESCE(heartbeat_interval_seconds, ?) * ?"
        " THEN 1 ELSE 0 END), 0), MAX(last_heartbeat_time) FROM worker WHERE work_pool_id = ?",
        (
            clock.to_us(now),
            foreman.fallback_heartbeat_interval_seconds,
            foreman.inactivity_heartbeat_multiple * 1_000_000,
            pool.id.bytes,
        ),
    )[0]
    others = tx.sql(
        "SELECT name FROM work_queue WHERE work_pool_id = ? AND id <> ? AND last_polled >= ? ORDER BY priority LIMIT ?",
        (pool.id.bytes, queue.id.bytes, clock.to_us(lately), HOLDERS_MAX),
    )
    ahead = tx.sql(
        "SELECT q.name, q.priority, COUNT(*) FROM flow_run r JOIN work_queue q ON q.id = r.work_queue_id"
        " WHERE q.work_pool_id = ? AND NOT q.is_paused AND r.state_type = 'SCHEDULED' AND r.next_scheduled_start_time <= ? AND r.id <> ?"
        " AND (q.priority < ? OR (q.id = ? AND r.next_scheduled_start_time < ?)) GROUP BY q.name, q.priority ORDER BY COUNT(*) DESC, q.priority",
        (pool.id.bytes, clock.to_us(now), facts.id.bytes, queue.priority, queue.id.bytes, clock.to_us(facts.due or now)),
    )
    return replace(
        facts,
        pool=Place(pool.name, pool.is_paused, pool.concurrency_limit, pool.active_slots or 0, _pool_holders(tx, pool.id)),
        queue=Place(
            queue.name,
            queue.is_paused,
            queue.concurrency_limit,
            queue.active_slots or 0,
            tuple(
                Holder(id=one.id, name=one.name, state_name=one.state_name, since=one.state_timestamp)
                for one in slot_holders(tx, queue.id.bytes, HOLDERS_MAX)
            ),
            queue.last_polled,
            queue.last_polled is not None and queue.last_polled >= lately,
        ),
        workers_online=online,
        workers_seen=time_out(seen),
        other_queues=tuple(name for (name,) in others),
        ahead=sum(count for _, _, count in ahead),
        ahead_queue=ahead[0][0] if ahead and ahead[0][1] < queue.priority else None,
    )


def _polled_after(now: datetime) -> datetime:
    return now - timedelta(seconds=get_current_settings().server.services.foreman.work_queue_last_polled_timeout_seconds)


def _pool_holders(tx: Transaction, pool: UUID) -> tuple[Holder, ...]:
    rows = tx.sql(
        "SELECT r.id, r.name, r.state_name, r.state_timestamp FROM flow_run r JOIN work_queue q ON q.id = r.work_queue_id"
        f" WHERE q.work_pool_id = ? AND r.state_type IN {SLOT_STATES} ORDER BY r.state_timestamp, r.id LIMIT ?",
        (pool.bytes, HOLDERS_MAX),
    )
    return tuple(_holder("flow-run", *row) for row in rows)


def _holder(kind: str, id: bytes, name: str | None, state: str | None, since: int | None) -> Holder:
    return Holder(kind=kind, id=UUID(bytes=id), name=name or "", state_name=state, since=time_out(since))


def _deployment(tx: Transaction, id: UUID, now: datetime) -> Place | None:
    row = tx.sql_one(
        "SELECT f.name, d.name, d.paused, d.concurrency_limit_id, d.last_polled, d.status FROM deployment d JOIN flow f ON f.id = d.flow_id"
        " WHERE d.id = ?",
        (id.bytes,),
    )
    if row is None:
        return None
    flow, name, paused, limit_id, polled, status = row
    place = Place(f"{flow}/{name}", bool(paused), polled=time_out(polled), is_polled=status == "READY")
    if limit_id is None:
        return place
    limit = find_limit(tx, UUID(bytes=limit_id), now)
    if not limit.active:
        return place
    return replace(place, limit=limit.room.limit, active=active_slots(limit.room, now), holders=_lease_holders(tx, limit, now))


def _lease_holders(tx: Transaction, limit: Limit, now: datetime) -> tuple[Holder, ...]:
    rows = tx.sql(
        "SELECT l.holder_type, l.holder_id, l.created FROM concurrency_slot s JOIN concurrency_lease l ON l.id = s.lease_id"
        " WHERE s.limit_id = ? AND l.holder_id IS NOT NULL AND (l.expires IS NULL OR l.expires > ?) ORDER BY l.created LIMIT ?",
        (limit.id.bytes, clock.to_us(now), HOLDERS_MAX),
    )
    found: list[Holder] = []
    for kind, id, since in rows:
        table = {"flow_run": "flow_run", "task_run": "task_run"}.get(kind)
        name, state = (tx.sql_one(f"SELECT name, state_name FROM {table} WHERE id = ?", (id,)) if table else None) or (None, None)
        found.append(_holder(kind.replace("_", "-"), id, name, state, since))
    return tuple(found)


def _full_tags(tx: Transaction, run: TaskRun, now: datetime) -> Sequence[Limited]:
    if not run.tags:
        return []
    names = [TAG_PREFIX + tag for tag in run.tags]
    rows = tx.sql(f"{LIMITS} WHERE l.name IN ({', '.join('?' * len(names))}) ORDER BY l.name", (clock.to_us(now), *names))
    full: list[Limited] = []
    for limit in map(limit_out, rows):
        if not limit.active or has_room(limit.room, 1, now):
            continue
        holders = _lease_holders(tx, limit, now)
        if all(holder.id != run.id for holder in holders):
            full.append(Limited(limit.room.name.removeprefix(TAG_PREFIX), limit.room.limit, active_slots(limit.room, now), holders))
    return full


def _task_workers(tx: Transaction, task_key: str) -> int:
    rows: list[Any] = tx.sql("SELECT task_keys FROM task_worker", ())
    return sum(task_key in (json_out(keys) or ()) for (keys,) in rows)


OPERATIONS = {
    endpoints.WHY_FLOW_RUN: Operation(why_flow_run, writes=False),
    endpoints.WHY_DEPLOYMENT: Operation(why_deployment, writes=False),
    endpoints.WHY_TASK_RUN: Operation(why_task_run, writes=False),
}
