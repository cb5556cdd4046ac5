"""The schedules of a deployment: replaced together, or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from headrace.model import clock, ids
from headrace.model.endpoints import deployments as endpoints
from headrace.model.errors import InvalidRequest, ObjectAlreadyExists, ObjectNotFound
from headrace.model.schedules import DeploymentSchedule, DeploymentScheduleCreate, DeploymentScheduleUpdate, Schedule
from headrace.operations.deployments.deployment_rows import (
    SCHEDULES,
    delete_coming_runs,
    find_deployment,
    labels_of,
    lock_deployment,
    look_again,
    relations,
    schedule_out,
    schedules_of,
)
from headrace.operations.events import emitting
from headrace.operations.table import Operation
from headrace.settings import get_current_settings
from headrace.store.codec import json_in
from headrace.store.database import Transaction

_Given = DeploymentScheduleCreate | DeploymentScheduleUpdate


def read_schedules(tx: Transaction, *, id: UUID) -> list[DeploymentSchedule]:
    """Return the schedules of a deployment, the newest first. Raises `ObjectNotFound`."""
    return find_deployment(tx, id).schedules


def create_schedules(tx: Transaction, body: list[DeploymentScheduleCreate], *, id: UUID) -> list[DeploymentSchedule]:
    """Give a deployment further schedules. Raises `ObjectNotFound`, `ObjectAlreadyExists` for a slug that it has, `InvalidRequest`."""
    lock_deployment(tx, id)
    before = _shown(tx, id)
    made = [_insert(tx, id, given) for given in body]
    _tell(tx, id, before)
    return made


def update_schedule(tx: Transaction, body: DeploymentScheduleUpdate, *, id: UUID, schedule_id: UUID) -> None:
    """Change what is given of a schedule; its coming runs are made anew. Raises `ObjectNotFound`, `ObjectAlreadyExists`, `InvalidRequest`."""
    lock_deployment(tx, id)
    stored = _find(tx, id, schedule_id)
    before = _shown(tx, id)
    _patch(tx, stored, body)
    _tell(tx, id, before)


def delete_schedule(tx: Transaction, *, id: UUID, schedule_id: UUID) -> None:
    """Delete a schedule and its coming runs. Raises `ObjectNotFound`."""
    lock_deployment(tx, id)
    _find(tx, id, schedule_id)
    before = _shown(tx, id)
    delete_coming_runs(tx, id, clock.now_us(), schedule_id)
    tx.sql("DELETE FROM deployment_schedule WHERE id = ?", (schedule_id.bytes,))
    _tell(tx, id, before)


def replace_schedules(tx: Transaction, id: UUID, given: Sequence[_Given]) -> None:
    """Make `given` the schedules of a deployment.

    Those with a slug that is stored already (or with `replaces` naming one) change the stored one, equal ones keep it, so that its runs are not
    made twice; stored ones that nobody named are deleted. Raises `InvalidRequest` for a new one without a schedule.
    """
    check_given(given)
    left = {schedule.id: schedule for schedule in schedules_of(tx, [id.bytes]).get(id.bytes, [])}
    pairs = [(one, _kept(one, left)) for one in given]
    for schedule_id in left:
        tx.sql("DELETE FROM deployment_schedule WHERE id = ?", (schedule_id.bytes,))
    tx.sql("UPDATE deployment_schedule SET slug = NULL WHERE deployment_id = ?", (id.bytes,))  # two may swap theirs
    for one, stored in pairs:
        if stored is not None:
            _write(tx, stored, one)
    for one, stored in pairs:
        if stored is None:
            _insert(tx, id, one)


def update_schedules(tx: Transaction, id: UUID, given: Sequence[DeploymentScheduleUpdate]) -> None:
    """Make `given` the schedules of a deployment, as `replace_schedules` does.

    Raises `InvalidRequest` when some have no slug though the stored ones have: which is which could not be told.
    """
    stored = schedules_of(tx, [id.bytes]).get(id.bytes, [])
    if any(schedule.slug for schedule in stored) and not all(schedule.slug for schedule in given):
        raise InvalidRequest("Please provide a slug for each schedule of your deployment, since its present schedules are told apart by slugs.")
    replace_schedules(tx, id, given)


def _kept(given: _Given, left: dict[UUID, DeploymentSchedule]) -> DeploymentSchedule | None:
    """Take out of `left` the stored schedule that `given` stands for."""
    for slug in (given.slug, given.replaces):
        for stored in left.values() if slug else ():
            if stored.slug == slug:
                return left.pop(stored.id)
    if given.slug is None:
        for stored in left.values():
            if stored.slug is None and stored.schedule == given.schedule:
                return left.pop(stored.id)
    return None


def _find(tx: Transaction, id: UUID, schedule_id: UUID) -> DeploymentSchedule:
    row = tx.sql_one(f"{SCHEDULES} WHERE s.id = ? AND s.deployment_id = ?", (schedule_id.bytes, id.bytes))
    if row is None:
        raise ObjectNotFound(f"Schedule not found: the deployment has none with the id {schedule_id}.")
    return schedule_out(row)


def _insert(tx: Transaction, id: UUID, given: _Given) -> DeploymentSchedule:
    if given.schedule is None:
        raise InvalidRequest(f"The schedule {given.slug or ''!r} is new, so it must say when it fires: give its `schedule`.")
    _check(tx, id, None, given)
    schedule_id, now = ids.new(), clock.now_us()
    tx.sql(
        "INSERT INTO deployment_schedule (id, created, updated, deployment_id, schedule, active, max_scheduled_runs, parameters, slug)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            schedule_id.bytes,
            now,
            now,
            id.bytes,
            _schedule_in(given.schedule),
            int(given.active is not False),
            given.max_scheduled_runs,
            json_in(given.parameters or None),
            given.slug,
        ),
    )
    return _find(tx, id, schedule_id)


def _patch(tx: Transaction, stored: DeploymentSchedule, given: DeploymentScheduleUpdate) -> None:
    assert stored.deployment_id is not None, "a stored schedule belongs to a deployment"
    _check(tx, stored.deployment_id, stored.id, given)
    _write(tx, stored, given)
    delete_coming_runs(tx, stored.deployment_id, clock.now_us(), stored.id)


def _write(tx: Transaction, stored: DeploymentSchedule, given: _Given) -> None:
    fields = given.model_fields_set
    changes: dict[str, Any] = {"updated": clock.now_us(), "due": None}
    if given.schedule is not None:
        changes["schedule"] = _schedule_in(given.schedule)
    if given.active is not None and (isinstance(given, DeploymentScheduleCreate) or "active" in fields):
        changes["active"] = int(given.active)
    if "max_scheduled_runs" in fields or isinstance(given, DeploymentScheduleCreate):
        changes["max_scheduled_runs"] = given.max_scheduled_runs
    if "parameters" in fields or isinstance(given, DeploymentScheduleCreate):
        changes["parameters"] = json_in(given.parameters or None)
    changes["slug"] = given.slug or stored.slug
    tx.sql(f"UPDATE deployment_schedule SET {', '.join(f'{name} = ?' for name in changes)} WHERE id = ?", (*changes.values(), stored.id.bytes))


def _check(tx: Transaction, id: UUID, schedule_id: UUID | None, given: _Given) -> None:
    check_given([given])
    if given.slug is not None:
        row = tx.sql_one("SELECT id FROM deployment_schedule WHERE deployment_id = ? AND slug = ?", (id.bytes, given.slug))
        if row is not None and (schedule_id is None or row[0] != schedule_id.bytes):
            raise ObjectAlreadyExists(f"The deployment has a schedule with the slug {given.slug!r} already.")


def check_given(given: Sequence[_Given]) -> None:
    """Raise `InvalidRequest` for schedules with more coming runs than the server allows, or with one slug twice."""
    most = get_current_settings().server.deployment_schedule_max_scheduled_runs
    for one in given:
        if one.max_scheduled_runs is not None and one.max_scheduled_runs > most:
            raise InvalidRequest(f"max_scheduled_runs is {one.max_scheduled_runs}, more than the {most} that the server allows.")
    slugs = [one.slug for one in given if one.slug is not None]
    twice = sorted({slug for slug in slugs if slugs.count(slug) > 1})
    if twice:
        raise InvalidRequest(f"Several schedules have the slug {', '.join(map(repr, twice))}; give each its own.")


def _schedule_in(schedule: Schedule) -> str | None:
    return json_in(schedule.model_dump(mode="json"))


def _shown(tx: Transaction, id: UUID) -> Any:
    return [schedule.model_dump(mode="json") for schedule in schedules_of(tx, [id.bytes]).get(id.bytes, [])] if tx.caller.is_server else None


def _tell(tx: Transaction, id: UUID, before: Any) -> None:
    tx.sql("UPDATE deployment SET updated = ? WHERE id = ?", (clock.now_us(), id.bytes))
    look_again(tx, id)
    if tx.caller.is_server:
        deployment = find_deployment(tx, id)
        payload = emitting.changes({"schedules": before}, {"schedules": _shown(tx, id)})
        emitting.emit(tx, "prefect.deployment.updated", labels_of(deployment), relations(tx, deployment), payload)


OPERATIONS = {
    endpoints.READ_SCHEDULES: Operation(read_schedules, writes=False),
    endpoints.CREATE_SCHEDULES: Operation(create_schedules, writes=True),
    endpoints.UPDATE_SCHEDULE: Operation(update_schedule, writes=True),
    endpoints.DELETE_SCHEDULE: Operation(delete_schedule, writes=True),
}
