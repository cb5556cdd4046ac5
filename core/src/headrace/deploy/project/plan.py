"""What a deploy would change: the difference between a project and a server, and the file that keeps it until it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

from headrace.deploy.project.apply import desired, read_existing
from headrace.deploy.project.checks import Prepared, parameter_problems
from headrace.model import clock
from headrace.model.deployments import Deployment, DeploymentCreate
from headrace.model.errors import HeadraceException, MissingExtra
from headrace.model.schedules import Schedule
from headrace.rules.schedules import dates

FORMAT = 1
FIRE_TIMES = 10

FIELDS = (
    "description",
    "version",
    "tags",
    "entrypoint",
    "parameters",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
    "paused",
    "concurrency_limit",
    "concurrency_options",
    "work_pool_name",
    "work_queue_name",
    "job_variables",
    "pull_steps",
    "path",
)
"""What is compared, in the order in which it is told."""

Action = Literal["create", "change", "leave", "delete"]


class PlanRefused(HeadraceException):
    """A plan that was written down cannot be carried out, because what it was made of has changed since."""


@dataclass(frozen=True)
class Change:
    """A field with the value it has and the one it shall have."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Firing:
    """A schedule and the next times at which it fires; `unknown` says why they could not be computed."""

    schedule: str
    active: bool
    times: tuple[datetime, ...]
    unknown: str | None = None


@dataclass(frozen=True)
class Difference:
    """What would become of one deployment.

    `after_build` are the fields of which steps that have not run yet say something. `invalid` are parameters that the server keeps and the
    flow does not take any more. The fingerprints tell whether server and project are still as they were.
    """

    name: str
    action: Action
    changes: tuple[Change, ...]
    schedules_before: tuple[Firing, ...]
    schedules_after: tuple[Firing, ...]
    invalid: tuple[str, ...]
    after_build: tuple[str, ...]
    triggers: int
    server: str
    project: str


def compare(prepared: Sequence[Prepared], gone: Mapping[str, Deployment]) -> list[Difference]:
    """Return what deploying would change, deployment by deployment, those last that it would delete. Nothing is changed, and no step is run."""
    return [*(_compare(one) for one in prepared), *(_deletion(name, one) for name, one in gone.items())]


def _deletion(name: str, deployment: Deployment) -> Difference:
    before = _firings(deployment.schedules, clock.now())
    return Difference(name, "delete", (), before, (), (), (), 0, fingerprint(plain(deployment), deployment), "absent")


def _compare(one: Prepared) -> Difference:
    existing = read_existing(one.name)
    body = desired(one, one.spec, existing)
    before = plain(existing) if existing is not None else {}
    after = _body_fields(body, existing)
    later = _later(one)
    changes = [Change(field, before.get(field), after[field]) for field in FIELDS if existing is not None and before.get(field) != after[field]]
    schedules = _facts(body.schedules)
    if existing is not None and _facts(existing.schedules) != schedules:
        changes.append(Change("schedules", _facts(existing.schedules), schedules))
    changes = [change for change in changes if change.field not in later]
    action: Action = "create" if existing is None else "change" if changes or later else "leave"
    now = clock.now()
    return Difference(
        one.name,
        action,
        tuple(changes),
        _firings(existing.schedules, now) if existing is not None else (),
        _firings(body.schedules, now),
        tuple(_invalid(one, body)),
        later,
        len(one.spec.triggers),
        fingerprint(before, existing),
        _hash([{key: value for key, value in after.items() if key != "paused"}, _anchorless(schedules), one.data]),
    )


def plain(deployment: Deployment) -> dict[str, Any]:
    """Return what is compared of a stored deployment, as JSON data."""
    found = deployment.model_dump(mode="json", include=set(FIELDS))
    limit = deployment.global_concurrency_limit
    found["concurrency_limit"] = limit.limit if limit is not None else None
    return found


def _body_fields(body: DeploymentCreate, existing: Deployment | None) -> dict[str, Any]:
    found = body.model_dump(mode="json", include=set(FIELDS))
    if "paused" not in body.model_fields_set:
        found["paused"] = existing.paused if existing is not None else False
    if body.work_pool_name is not None and body.work_queue_name is None:
        found["work_queue_name"] = "default"
    return found


def _later(one: Prepared) -> tuple[str, ...]:
    """Return the fields that hold outputs of steps which a plan does not run."""
    from headrace.deploy.templating import RUN_TIME_PREFIXES, PlaceholderType, find_placeholders

    if not one.has_steps:
        return ()
    named = {"job_variables": one.data.get("work_pool"), "pull_steps": one.data.get("pull")}
    values = {**{field: one.data.get(field) for field in FIELDS}, **named}
    standard = PlaceholderType.STANDARD
    return tuple(
        field
        for field in FIELDS
        if any(found.type is standard and not found.name.startswith(RUN_TIME_PREFIXES) for found in find_placeholders(values[field]))
    )


def fingerprint(fields: dict[str, Any], existing: Deployment | None) -> str:
    """Return a short text that is another one as soon as anything compared of the stored deployment is."""
    return _hash([fields, _facts(existing.schedules)]) if existing is not None else "absent"


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:24]


# --- schedules


def _facts(schedules: Sequence[Any]) -> list[dict[str, Any]]:
    """Return what is compared of schedules, in an order that does not depend on theirs."""
    return sorted((_schedule_facts(one) for one in schedules), key=lambda facts: json.dumps(facts, sort_keys=True))


def _schedule_facts(item: Any) -> dict[str, Any]:
    facts = {"schedule": item.schedule.model_dump(mode="json"), "active": item.active, "parameters": item.parameters, "slug": item.slug}
    return {**facts, "max_scheduled_runs": item.max_scheduled_runs}


def _anchorless(schedules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the anchor: where none is given it is the moment of planning."""
    return [{**one, "schedule": {key: value for key, value in one["schedule"].items() if key != "anchor_date"}} for one in schedules]


def describe(schedule: Schedule) -> str:
    """Return a schedule in a few words."""
    rule = getattr(schedule, "cron", None) or getattr(schedule, "rrule", None) or f"every {getattr(schedule, 'interval', '')}"
    return f"{rule} ({schedule.timezone or 'UTC'})"


def _firings(schedules: Sequence[Any], now: datetime) -> tuple[Firing, ...]:
    return tuple(sorted((_firing(one, now) for one in schedules), key=lambda firing: (firing.schedule, firing.times)))


def _firing(item: Any, now: datetime) -> Firing:
    try:
        times = tuple(dates(item.schedule, now, n=FIRE_TIMES)) if item.active else ()
    except MissingExtra as error:
        return Firing(describe(item.schedule), item.active, (), str(error))
    return Firing(describe(item.schedule), item.active, times)


def _invalid(one: Prepared, body: DeploymentCreate) -> list[str]:
    """Return what of the parameters of kept schedules the flow does not take any more."""
    if not body.enforce_parameter_schema or one.spec.all_schedules is not None:
        return []
    schema = body.parameter_openapi_schema or {}
    found: list[str] = []
    for schedule in body.schedules:
        for _, message in parameter_problems(schema, {**body.parameters, **schedule.parameters}, is_complete=schedule.active):
            found.append(f"schedule {schedule.slug or describe(schedule.schedule)}: {message}")
    return found


# --- as data


def as_data(differences: Sequence[Difference], **more: Any) -> dict[str, Any]:
    """Return a plan as JSON data."""
    deployments = [json.loads(json.dumps(asdict(one), default=_told)) for one in differences]
    return {"format": FORMAT, "made": clock.now().isoformat(), **more, "deployments": deployments}


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def read_plan(file: Path) -> dict[str, Any]:
    """Return a plan that was written down. Raises `PlanRefused` when the file is none."""
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlanRefused(f"{file} cannot be read as a plan: {error}. Make one with `headrace plan --out {file}`.") from error
    if not isinstance(data, dict) or cast("dict[str, Any]", data).get("format") != FORMAT:
        raise PlanRefused(f"{file} is no plan that this version understands. Make one with `headrace plan --out {file}`.")
    return cast("dict[str, Any]", data)


def check_still_true(plan: dict[str, Any], now: Sequence[Difference]) -> None:
    """Raise `PlanRefused` when the server or the project is not as it was when the plan was made, naming each deployment concerned."""
    planned = {str(one["name"]): one for one in plan["deployments"]}
    found: list[str] = []
    for one in now:
        then = planned.pop(one.name, None)
        if then is None:
            found.append(f"{one.name} is not in the plan")
        elif then["server"] != one.server:
            found.append(f"{one.name} was changed on the server")
        elif then["project"] != one.project:
            found.append(f"{one.name} was changed in the project or its code")
    found += [f"{name} is not in the project any more" for name in planned]
    if found:
        raise PlanRefused(f"Since the plan was made, {', '.join(found)}. Nothing was deployed. Make a new plan with `headrace plan`.")
