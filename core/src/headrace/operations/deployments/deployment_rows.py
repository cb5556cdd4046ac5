"""Deployments as they are stored: found, read, told of in events; and what hangs on them. The routes: `deployments.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.model import clock
from headrace.model.concurrency import GlobalConcurrencyLimitResponse
from headrace.model.deployments import ConcurrencyOptions, Deployment, DeploymentStatus, UpdatedBy
from headrace.model.errors import ObjectNotFound
from headrace.model.flow_runs import CreatedBy
from headrace.model.schedules import CronSchedule, DeploymentSchedule, IntervalSchedule, RRuleSchedule, Schedule
from headrace.operations.events import emitting
from headrace.operations.limits.slots import LIMITS, limit_out
from headrace.operations.runs.deletion import delete_flow_runs
from headrace.operations.runs.encoding import build
from headrace.rules.slots import active_slots
from headrace.store.codec import id_out, json_out, time_out
from headrace.store.database import Row, Transaction

DEPLOYMENTS = (
    "SELECT d.id, d.created, d.updated, d.flow_id, d.name, d.version, d.description, d.paused, d.concurrency_limit_id, d.concurrency_options,"
    " d.job_variables, d.parameters, d.tags, d.labels, d.work_queue_id, d.last_polled, d.parameter_openapi_schema, d.path, d.pull_steps,"
    " d.entrypoint, d.storage_document_id, d.infrastructure_document_id, d.created_by, d.updated_by, d.status, d.enforce_parameter_schema,"
    " q.name, q.last_polled, p.name FROM deployment d LEFT JOIN work_queue q ON q.id = d.work_queue_id LEFT JOIN work_pool p ON p.id = q.work_pool_id"
)
SCHEDULES = (
    "SELECT s.id, s.created, s.updated, s.deployment_id, s.schedule, s.active, s.max_scheduled_runs, s.parameters, s.slug FROM deployment_schedule s"
)
IDS_AT_ONCE_MAX = 400

_OWN_LIMIT = "deployment:"


def deployment_out(tx: Transaction, row: Row) -> Deployment:
    """Read a row of `DEPLOYMENTS`."""
    return deployments_out(tx, [row])[0]


def deployments_out(tx: Transaction, rows: Sequence[Row]) -> list[Deployment]:
    """Read rows of `DEPLOYMENTS`, with their schedules and limits."""
    schedules = schedules_of(tx, [row[0] for row in rows])
    limits = _limits(tx, {row[8] for row in rows if row[8] is not None})
    return [_deployment(row, schedules.get(row[0], []), limits.get(row[8])) for row in rows]


def _deployment(row: Row, schedules: list[DeploymentSchedule], limit: GlobalConcurrencyLimitResponse | None) -> Deployment:
    polled = max((moment for moment in (row[15], row[27]) if moment is not None), default=None)
    return build(
        Deployment,
        {
            "id": UUID(bytes=row[0]),
            "created": time_out(row[1]),
            "updated": time_out(row[2]),
            "name": row[4],
            "version": row[5],
            "description": row[6],
            "flow_id": UUID(bytes=row[3]),
            "paused": bool(row[7]),
            "schedules": schedules,
            "concurrency_limit": None,
            "global_concurrency_limit": limit,
            "concurrency_options": ConcurrencyOptions.model_validate_json(row[9]) if row[9] else None,
            "job_variables": json_out(row[10]) or {},
            "parameters": json_out(row[11]) or {},
            "tags": json_out(row[12]) or [],
            "labels": {"prefect.flow.id": str(UUID(bytes=row[3])), **(json_out(row[13]) or {})},
            "work_queue_name": row[26],
            "work_queue_id": id_out(row[14]),
            "last_polled": time_out(polled),
            "parameter_openapi_schema": json_out(row[16]),
            "path": row[17],
            "pull_steps": json_out(row[18]),
            "entrypoint": row[19],
            "storage_document_id": id_out(row[20]),
            "infrastructure_document_id": id_out(row[21]),
            "created_by": CreatedBy.model_validate_json(row[22]) if row[22] else None,
            "updated_by": UpdatedBy.model_validate_json(row[23]) if row[23] else None,
            "work_pool_name": row[28],
            "status": DeploymentStatus(row[24]),
            "enforce_parameter_schema": bool(row[25]),
        },
    )


def _limits(tx: Transaction, keys: Iterable[bytes]) -> dict[bytes, GlobalConcurrencyLimitResponse]:
    now = clock.now()
    found: dict[bytes, GlobalConcurrencyLimitResponse] = {}
    for part in parts(list(keys)):
        for row in tx.sql(f"{LIMITS} WHERE l.id IN ({', '.join('?' * len(part))})", (clock.to_us(now), *part)):
            limit = limit_out(row)
            found[limit.key] = GlobalConcurrencyLimitResponse(
                id=limit.id,
                created=limit.created,
                updated=limit.updated,
                active=limit.active,
                name=limit.room.name,
                limit=limit.room.limit,
                active_slots=active_slots(limit.room, now),
                slot_decay_per_second=limit.room.decay_per_second,
            )
    return found


def parts(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Split ids so that one statement takes a part."""
    return [keys[first : first + IDS_AT_ONCE_MAX] for first in range(0, len(keys), IDS_AT_ONCE_MAX)]


def schedule_from(stored: dict[str, Any]) -> Schedule:
    """Read a schedule as it is stored."""
    if "interval" in stored:
        anchor = datetime.fromisoformat(stored["anchor_date"])
        return build(IntervalSchedule, {**stored, "interval": timedelta(seconds=stored["interval"]), "anchor_date": anchor})
    return build(CronSchedule, stored) if "cron" in stored else build(RRuleSchedule, stored)


def schedule_out(row: Row) -> DeploymentSchedule:
    """Read a row of `SCHEDULES`."""
    return build(
        DeploymentSchedule,
        {
            "id": UUID(bytes=row[0]),
            "created": time_out(row[1]),
            "updated": time_out(row[2]),
            "deployment_id": UUID(bytes=row[3]),
            "schedule": schedule_from(json_out(row[4])),
            "active": bool(row[5]),
            "max_scheduled_runs": row[6],
            "parameters": json_out(row[7]) or {},
            "slug": row[8],
        },
    )


def schedules_of(tx: Transaction, deployments: Sequence[bytes]) -> dict[bytes, list[DeploymentSchedule]]:
    """Return the schedules of deployments, the newest first."""
    found: dict[bytes, list[DeploymentSchedule]] = {}
    for part in parts(deployments):
        for row in tx.sql(f"{SCHEDULES} WHERE s.deployment_id IN ({', '.join('?' * len(part))}) ORDER BY s.updated DESC, s.id DESC", part):
            found.setdefault(row[3], []).append(schedule_out(row))
    return found


def find_deployment(tx: Transaction, id: UUID) -> Deployment:
    """Return a deployment. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{DEPLOYMENTS} WHERE d.id = ?", (id.bytes,))
    if row is None:
        raise ObjectNotFound(f"Deployment not found: no deployment has the id {id}.")
    return deployment_out(tx, row)


def lock_deployment(tx: Transaction, id: UUID) -> None:
    """Keep a deployment from being changed, scheduled or deleted by others until the transaction ends. Raises `ObjectNotFound`."""
    tx.lock("deployment", "id", [id.bytes])
    if tx.sql_one("SELECT 1 FROM deployment WHERE id = ?", (id.bytes,)) is None:
        raise ObjectNotFound(f"Deployment not found: no deployment has the id {id}.")


def own_limit_name(id: UUID) -> str:
    """Return the name of the limit that belongs to one deployment alone."""
    return f"{_OWN_LIMIT}{id}"


def delete_coming_runs(tx: Transaction, id: UUID, after: int | None = None, schedule: UUID | None = None) -> None:
    """Delete runs that the scheduler made and that did not begin: those after the moment `after`, those of one schedule.

    A run that already asked for a slot and waits for it stays.
    """
    text = (
        "SELECT id FROM flow_run WHERE deployment_id = ? AND state_type = 'SCHEDULED' AND auto_scheduled AND run_count = 0"
        " AND state_name <> 'AwaitingConcurrencySlot'"
    )
    values: list[Any] = [id.bytes]
    if after is not None:
        text += " AND next_scheduled_start_time > ?"
        values.append(after)
    if schedule is not None:
        key = f"scheduled {id} {schedule} "
        text += f" AND SUBSTR(idempotency_key, 1, {len(key)}) = ?"
        values.append(key)
    delete_flow_runs(tx, [run for (run,) in tx.sql(text, values)])


def look_again(tx: Transaction, id: UUID, schedule: UUID | None = None) -> None:
    """Have the scheduler look at the schedules of a deployment, or at one of them, as soon as it can."""
    if schedule is None:
        tx.sql("UPDATE deployment_schedule SET due = NULL WHERE deployment_id = ?", (id.bytes,))
    else:
        tx.sql("UPDATE deployment_schedule SET due = NULL WHERE id = ?", (schedule.bytes,))


def delete_deployment_row(tx: Transaction, deployment: Deployment) -> None:
    """Delete a deployment with its schedules, the runs that they made and that did not begin, and its own limit; tell of it."""
    delete_coming_runs(tx, deployment.id)
    related = relations(tx, deployment)
    tx.sql("DELETE FROM deployment WHERE id = ?", (deployment.id.bytes,))
    tx.sql("DELETE FROM concurrency_limit WHERE name = ?", (own_limit_name(deployment.id),))
    emitting.emit(tx, "prefect.deployment.deleted", labels_of(deployment), related)


# --- events -----------------------------------------------------------------------------------------------------------


def labels_of(deployment: Deployment) -> dict[str, str]:
    """Return the labels of a deployment as the resource of an event."""
    return emitting.resource("deployment", deployment.id, deployment.name)


def relations(tx: Transaction, deployment: Deployment) -> list[emitting.Labels]:
    """Return the labels of what an event on a deployment is about too. Nothing is read unless somebody listens."""
    if not tx.caller.is_server:
        return []
    found: list[emitting.Labels] = []
    flow = tx.sql_one("SELECT name FROM flow WHERE id = ?", (deployment.flow_id.bytes,))
    if flow is not None:
        found.append(emitting.related_resource("flow", "flow", deployment.flow_id, flow[0]))
    if deployment.work_queue_id is not None:
        found.append(emitting.related_resource("work-queue", "work-queue", deployment.work_queue_id, deployment.work_queue_name))
        pool = tx.sql_one(
            "SELECT p.id, p.name, p.type FROM work_queue q JOIN work_pool p ON p.id = q.work_pool_id WHERE q.id = ?",
            (deployment.work_queue_id.bytes,),
        )
        if pool is not None:
            labels = emitting.related_resource("work-pool", "work-pool", UUID(bytes=pool[0]), pool[1])
            found.append({**labels, "prefect.work-pool.type": pool[2]})
    for role, block in (("storage", deployment.storage_document_id), ("infrastructure", deployment.infrastructure_document_id)):
        if block is not None:
            found.append(emitting.related_resource(role, "block-document", block))
    if deployment.global_concurrency_limit is not None:
        limit = deployment.global_concurrency_limit
        found.append(emitting.related_resource("concurrency-limit", "concurrency-limit", limit.id, limit.name))
    return found
