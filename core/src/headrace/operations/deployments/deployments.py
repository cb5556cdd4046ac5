"""Deployments: made or made anew, read, changed, paused, deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.deployments import Deployment, DeploymentCreate, DeploymentUpdate
from headrace.model.endpoints import deployments as endpoints
from headrace.model.errors import InvalidRequest, ObjectNotFound
from headrace.operations.deployments import scheduling
from headrace.operations.deployments.deployment_rows import (
    DEPLOYMENTS,
    delete_coming_runs,
    delete_deployment_row,
    deployment_out,
    find_deployment,
    labels_of,
    lock_deployment,
    look_again,
    own_limit_name,
    relations,
)
from headrace.operations.deployments.deployment_schedules import replace_schedules, update_schedules
from headrace.operations.deployments.hydration import checked_parameters, hydrated
from headrace.operations.events import emitting
from headrace.operations.limits import slots
from headrace.operations.pools.job_templates import check_job_variables
from headrace.operations.pools.pool_rows import find_pool
from headrace.operations.pools.work_queues import ensure_queue
from headrace.operations.table import Operation
from headrace.store.codec import id_in, json_in
from headrace.store.database import Transaction

_NOT_TOLD = {"updated", "updated_by", "status", "last_polled"}
_TEXTS = ("version", "description", "path", "entrypoint")
_OBJECTS = ("job_variables", "parameters", "tags", "labels", "parameter_openapi_schema", "pull_steps")
_BLOCKS = ("storage_document_id", "infrastructure_document_id")


def create_deployment(tx: Transaction, body: DeploymentCreate) -> Deployment:
    """Store a deployment; if its flow has one of that name, write what is given of it and replace its schedules.

    Coming runs that the scheduler made of it are deleted, to be made anew. Raises `ObjectNotFound` for a work pool or limit that does not
    exist; `InvalidRequest` for a flow that does not, and for job variables that the pool does not know.
    """
    if tx.sql_one("SELECT 1 FROM flow WHERE id = ?", (body.flow_id.bytes,)) is None:
        raise InvalidRequest(f"No flow has the id {body.flow_id}, so it cannot be deployed. Create the flow first.", status=409)
    tx.lock("flow", "id", [body.flow_id.bytes])
    row = tx.sql_one("SELECT id FROM deployment WHERE flow_id = ? AND name = ?", (body.flow_id.bytes, body.name))
    if row is not None:
        return _upsert(tx, body, UUID(bytes=row[0]))
    id, now = ids.new(), clock.now_us()
    queue = _queue(tx, body, None)
    _check_job_variables(tx, queue.get("pool"), body.job_variables, "creating")
    tx.sql(
        "INSERT INTO deployment (id, created, updated, flow_id, name, paused, created_by, updated_by, status, enforce_parameter_schema,"
        " parameter_openapi_schema, pull_steps) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'NOT_READY', ?, '{}', '[]')",
        (
            id.bytes,
            now,
            now,
            body.flow_id.bytes,
            body.name,
            int(body.paused),
            json_in(tx.caller.created_by),
            json_in(tx.caller.created_by),
            int(body.enforce_parameter_schema),
        ),
    )
    _write(tx, id, {**_columns(body), **_limit(tx, id, body), **queue["columns"]})
    replace_schedules(tx, id, body.schedules)
    made = find_deployment(tx, id)
    emitting.emit(tx, "prefect.deployment.created", labels_of(made), relations(tx, made))
    return made


def _upsert(tx: Transaction, body: DeploymentCreate, id: UUID) -> Deployment:
    lock_deployment(tx, id)
    before = find_deployment(tx, id)
    queue = _queue(tx, body, before)
    if "job_variables" in body.model_fields_set:
        _check_job_variables(tx, queue.get("pool"), body.job_variables, "creating")
    _write(tx, id, {**_columns(body), **_limit(tx, id, body), **queue["columns"]})
    replace_schedules(tx, id, body.schedules)
    tx.status = 200
    return _settle(tx, before)


def update_deployment(tx: Transaction, body: DeploymentUpdate, *, id: UUID) -> None:
    """Write what is given of a deployment. Coming runs that the scheduler made of it are deleted, to be made anew.

    `work_pool_name: null` takes it out of its pool. Raises `ObjectNotFound`, `InvalidRequest` for parameters that do not fit their schema,
    job variables that the pool does not know and schedules that cannot be told apart.
    """
    lock_deployment(tx, id)
    before, given = find_deployment(tx, id), body.model_fields_set
    queue = _queue(tx, body, before)
    columns = _columns(body)
    if body.parameters is not None and "parameters" in given:
        schema = body.parameter_openapi_schema if "parameter_openapi_schema" in given else before.parameter_openapi_schema
        is_enforced = before.enforce_parameter_schema if body.enforce_parameter_schema is None else body.enforce_parameter_schema
        parameters = hydrated(tx, body.parameters, "deployment")
        checked_parameters(schema if is_enforced else None, parameters, "updating deployment", complete=False)
        columns["parameters"] = json_in(parameters or None)
    if body.job_variables:
        _check_job_variables(tx, queue.get("pool"), body.job_variables, "updating")
    _write(tx, id, {**columns, **_limit(tx, id, body), **queue["columns"]})
    if "schedules" in given:
        update_schedules(tx, id, body.schedules)
    _settle(tx, before)


def _settle(tx: Transaction, before: Deployment) -> Deployment:
    """Have the coming runs made anew, and tell what has changed."""
    after = find_deployment(tx, before.id)
    delete_coming_runs(tx, before.id, None if after.paused and not before.paused else clock.now_us())
    look_again(tx, before.id)
    if tx.caller.is_server:
        payload = emitting.changes(*(one.model_dump(mode="json", exclude=_NOT_TOLD) for one in (before, after)))
        if payload["updates"]:
            emitting.emit(tx, "prefect.deployment.updated", labels_of(after), relations(tx, after), payload)
    return after


def _columns(body: DeploymentCreate | DeploymentUpdate) -> dict[str, Any]:
    """Return what is given of a deployment's own columns, in storage form."""
    given = body.model_fields_set
    found: dict[str, Any] = {name: getattr(body, name) for name in _TEXTS if name in given}
    found.update({name: id_in(getattr(body, name)) for name in _BLOCKS if name in given})
    for name in _OBJECTS:
        if name in given:
            value = getattr(body, name)
            found[name] = json_in(value if value or name in ("parameter_openapi_schema", "pull_steps") else None)
    if "concurrency_options" in given:
        found["concurrency_options"] = json_in(body.concurrency_options.model_dump(mode="json")) if body.concurrency_options else None
    if "paused" in given:
        found["paused"] = int(body.paused)
    if "enforce_parameter_schema" in given and body.enforce_parameter_schema is not None:
        found["enforce_parameter_schema"] = int(body.enforce_parameter_schema)
    return found


def _write(tx: Transaction, id: UUID, columns: dict[str, Any]) -> None:
    changes = {**columns, "updated": clock.now_us()}
    if tx.caller.created_by is not None:
        changes["updated_by"] = json_in(tx.caller.created_by)
    tx.sql(f"UPDATE deployment SET {', '.join(f'{name} = ?' for name in changes)} WHERE id = ?", (*changes.values(), id.bytes))


def _queue(tx: Transaction, body: DeploymentCreate | DeploymentUpdate, before: Deployment | None) -> dict[str, Any]:
    """Return which column the names of pool and queue set, and the name of the pool that the deployment is in then."""
    given = body.model_fields_set
    present = before.work_pool_name if before is not None else None
    if body.work_pool_name is None and body.work_queue_name is None:
        leaves = "work_pool_name" in given
        return {"columns": {"work_queue_id": None} if leaves else {}, "pool": None if leaves else present}
    pool = body.work_pool_name if "work_pool_name" in given else present
    queue = ensure_queue(tx, pool, body.work_queue_name)
    assert queue is not None, "a name of a pool or queue is given"
    return {"columns": {"work_queue_id": queue.id.bytes}, "pool": queue.work_pool_name}


def _check_job_variables(tx: Transaction, pool_name: str | None, variables: dict[str, Any], doing: str) -> None:
    if pool_name is not None and variables:
        check_job_variables(tx, find_pool(tx, pool_name), variables, complete=False, doing=f"{doing} deployment")


def _limit(tx: Transaction, id: UUID, body: DeploymentCreate | DeploymentUpdate) -> dict[str, Any]:
    """Make, change or delete the deployment's own limit, or take another; return the column that this sets."""
    given, name, now = body.model_fields_set, own_limit_name(id), clock.now()
    if body.global_concurrency_limit_id is not None:
        limit = slots.find_limit(tx, body.global_concurrency_limit_id, now)
        if limit.room.name != name:
            tx.sql("DELETE FROM concurrency_limit WHERE name = ?", (name,))
        return {"concurrency_limit_id": limit.key}
    if body.concurrency_limit is not None:
        if tx.sql_count('UPDATE concurrency_limit SET "limit" = ?, updated = ? WHERE name = ?', (body.concurrency_limit, clock.to_us(now), name)):
            return {"concurrency_limit_id": slots.find_limit(tx, name, now).key}
        return {"concurrency_limit_id": slots.insert_limit(tx, name, body.concurrency_limit).key}
    leaves = "global_concurrency_limit_id" in given
    if leaves or "concurrency_limit" in given:
        tx.sql("DELETE FROM concurrency_limit WHERE name = ?", (name,))  # takes the reference to it along
    return {"concurrency_limit_id": None} if leaves else {}


def read_deployment(tx: Transaction, *, id: UUID) -> Deployment:
    """Return a deployment with its schedules. Raises `ObjectNotFound`."""
    return find_deployment(tx, id)


def read_deployment_by_name(tx: Transaction, *, flow_name: str, deployment_name: str) -> Deployment:
    """Return a deployment by its flow's name and its own. Raises `ObjectNotFound`."""
    row = tx.sql_one(f"{DEPLOYMENTS} JOIN flow f ON f.id = d.flow_id WHERE f.name = ? AND d.name = ?", (flow_name, deployment_name))
    if row is None:
        raise ObjectNotFound("Deployment not found")
    return deployment_out(tx, row)


def delete_deployment(tx: Transaction, *, id: UUID) -> None:
    """Delete a deployment with its schedules and the coming runs that they made. Raises `ObjectNotFound`."""
    lock_deployment(tx, id)
    delete_deployment_row(tx, find_deployment(tx, id))


def pause_deployment(tx: Transaction, *, id: UUID) -> None:
    """Let the schedules of a deployment make no more runs, and delete those that they made and that did not begin. Raises `ObjectNotFound`."""
    _set_paused(tx, id, True)


def resume_deployment(tx: Transaction, *, id: UUID) -> None:
    """Let the schedules of a deployment make runs again, the next ones at once. Raises `ObjectNotFound`."""
    _set_paused(tx, id, False)
    if tx.caller.is_server:
        scheduling.schedule_deployments(tx, [id], clock.now())


def _set_paused(tx: Transaction, id: UUID, paused: bool) -> None:
    lock_deployment(tx, id)
    before = find_deployment(tx, id)
    _write(tx, id, {"paused": int(paused)})
    if paused:
        delete_coming_runs(tx, id)
    look_again(tx, id)
    if tx.caller.is_server and before.paused is not paused:
        payload = emitting.changes({"paused": before.paused}, {"paused": paused})
        emitting.emit(tx, "prefect.deployment.updated", labels_of(before), relations(tx, before), payload)


OPERATIONS = {
    endpoints.CREATE_DEPLOYMENT: Operation(create_deployment, writes=True),
    endpoints.READ_DEPLOYMENT: Operation(read_deployment, writes=False),
    endpoints.READ_DEPLOYMENT_BY_NAME: Operation(read_deployment_by_name, writes=False),
    endpoints.UPDATE_DEPLOYMENT: Operation(update_deployment, writes=True),
    endpoints.DELETE_DEPLOYMENT: Operation(delete_deployment, writes=True),
    endpoints.PAUSE_DEPLOYMENT: Operation(pause_deployment, writes=True),
    endpoints.RESUME_DEPLOYMENT: Operation(resume_deployment, writes=True),
}
