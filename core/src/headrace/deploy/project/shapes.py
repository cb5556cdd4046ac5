"""What a project file says of its deployments: `headrace.yaml`, also under its documented name `prefect.yaml`."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from headrace.deploy.project.source import Path_, Problem, Source
from headrace.deploy.steps.run import parse_step
from headrace.deploy.versions import VersionType
from headrace.model.base import Action, Model
from headrace.model.deployment_triggers import DeploymentTriggerTypes
from headrace.model.deployments import ConcurrencyLimitConfig
from headrace.model.errors import near
from headrace.model.flows import FlowName
from headrace.model.schedules import CronSchedule, DeploymentScheduleCreate, Schedule, construct_schedule

STEP_KEYS = ("build", "push", "pull")


def _as_interval(value: Any) -> Any:
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d+(?:\.\d+)?", value) else value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _as_rrule(value: Any) -> Any:
    """Take a rule also as an object `{"rrule": …, "timezone": …}`, or as its JSON."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = json.loads(value)
    return cast("dict[str, Any]", value).get("rrule") if isinstance(value, dict) else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Text = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | float)]


class ScheduleSpec(Action):
    """When runs begin: exactly one of `cron`, `interval` (seconds, HH:MM:SS or ISO 8601) and `rrule`."""

    cron: str | None = None
    interval: Annotated[timedelta | None, BeforeValidator(_as_interval, json_schema_input_type=float | str | None)] = None
    rrule: Annotated[str | None, BeforeValidator(_as_rrule, json_schema_input_type=str | dict[str, Any] | None)] = None
    timezone: str | None = None
    anchor_date: datetime | None = None
    day_or: bool | None = None
    active: bool = True
    parameters: dict[str, Any] = Field(default_factory=dict)
    slug: str | None = None
    replaces: str | None = None
    max_scheduled_runs: int | None = None

    @model_validator(mode="after")
    def _is_one(self) -> ScheduleSpec:
        self.when()
        if self.day_or is not None and self.cron is None:
            raise ValueError("day_or belongs to a cron schedule.")
        return self

    def when(self) -> Schedule:
        """Return the schedule itself. Raises `ValueError`."""
        anchor = self.anchor_date
        found = construct_schedule(interval=self.interval, anchor_date=anchor, cron=self.cron, rrule=self.rrule, timezone=self.timezone)
        return found.model_copy(update={"day_or": self.day_or}) if self.day_or is not None and isinstance(found, CronSchedule) else found

    def create(self) -> DeploymentScheduleCreate:
        """Return what makes the schedule on a server."""
        return DeploymentScheduleCreate(
            schedule=self.when(),
            active=self.active,
            parameters=self.parameters,
            slug=self.slug,
            replaces=self.replaces,
            max_scheduled_runs=self.max_scheduled_runs,
        )


def _with_environment_of_text(given: Any) -> Any:
    """Write numbers and truth values in `env` as text, as YAML and `env.A=1` on the command line mean them."""
    variables = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    env: Any = variables.get("env")
    if not isinstance(env, dict):
        return cast("Any", given)
    pairs = cast("dict[str, Any]", env).items()
    return {**variables, "env": {key: json.dumps(one) if isinstance(one, bool) else _as_text(one) for key, one in pairs}}


class WorkPoolSpec(Action):
    """The pool of a deployment. `type`, where given, must be the type that the pool has."""

    name: Text | None = None
    type: str | None = None
    work_queue_name: Text | None = None
    job_variables: Annotated[dict[str, Any], BeforeValidator(_with_environment_of_text)] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _null_is_none(cls, given: Any) -> Any:
        return _without_nulls(given)


def _without_nulls(given: Any) -> Any:
    return {key: value for key, value in cast("dict[str, Any]", given).items() if value is not None} if isinstance(given, dict) else given


Limit = Annotated[int, Field(gt=0)] | ConcurrencyLimitConfig
Steps = Annotated[list[dict[str, Any]], BeforeValidator(_as_list, json_schema_input_type=list[dict[str, Any]] | dict[str, Any])]


class DeploymentSpec(Action):
    """A deployment as the project file writes it. A key that is null is as good as absent."""

    name: Annotated[FlowName | None, BeforeValidator(_as_text, json_schema_input_type=FlowName | float | None)] = None
    entrypoint: str | None = None
    flow_name: str | None = None
    description: str | None = None
    version: Text | None = None
    version_type: VersionType | None = None
    tags: Annotated[list[Text], BeforeValidator(_as_list, json_schema_input_type=list[Text] | str)] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)
    enforce_parameter_schema: bool = True
    schedule: ScheduleSpec | None = None
    schedules: list[ScheduleSpec] | None = None
    paused: bool | None = None
    concurrency_limit: Limit | None = None
    work_pool: WorkPoolSpec = Field(default_factory=WorkPoolSpec)
    triggers: list[DeploymentTriggerTypes] = Field(default_factory=list[DeploymentTriggerTypes])
    sla: Any = None
    build: Steps | None = None
    push: Steps | None = None
    pull: Steps | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_none(cls, given: Any) -> Any:
        return _without_nulls(given)

    @model_validator(mode="after")
    def _has_one_kind_of_schedules(self) -> DeploymentSpec:
        if self.schedule is not None and self.schedules is not None:
            raise ValueError("Both schedule and schedules are given. Move all of them below schedules.")
        slugs = [one.slug for one in self.schedules or () if one.slug]
        if len(set(slugs)) < len(slugs):
            twice = next(slug for slug in slugs if slugs.count(slug) > 1)
            raise ValueError(f"Two schedules have the slug {twice!r}. A slug tells schedules apart.")
        return self

    @property
    def all_schedules(self) -> list[ScheduleSpec] | None:
        """The schedules; None when the file says nothing of them, so that those on the server stay."""
        return [self.schedule] if self.schedule is not None else self.schedules


class ProjectHead(Model):
    """What a project file says beside its deployments. Other keys hold anchors, or whatever their author likes."""

    name: Text | None = None
    build: Steps | None = None
    push: Steps | None = None
    pull: Steps | None = None
    deployments: list[Any] | None = None


def check_head(source: Source) -> list[Problem]:
    """Return what is wrong with the file as a whole and with the steps that all its deployments share."""
    loaded: Any = source.data
    if not isinstance(loaded, dict):
        return [source.problem((), "A project file is a mapping with keys such as deployments, pull and build.")]
    data = cast("dict[str, Any]", loaded)
    _, problems = validated(ProjectHead, data, source, ())
    entries: Any = data.get("deployments")
    for index, entry in enumerate(cast("list[Any]", entries) if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            problems.append(source.problem(("deployments", index), "A deployment is a mapping with keys such as name and entrypoint."))
    return problems + step_problems(data, source, ())


def step_problems(data: dict[str, Any], source: Source, path: Path_) -> list[Problem]:
    """Return which of the steps in `data` are none."""
    found: list[Problem] = []
    for key in STEP_KEYS:
        steps = _as_list(data.get(key))
        for index, step in enumerate(cast("list[Any]", steps) if isinstance(steps, list) else ()):
            try:
                parse_step(step)
            except ValueError as error:
                place = (*path, key, index) if isinstance(data[key], list) else (*path, key)
                found.append(source.problem(place, str(error)))
    return found


def validated(shape: type[Any], data: Any, source: Source, path: Path_) -> tuple[Any, list[Problem]]:
    """Return `data` in its shape, or None and what is wrong with it, each with its line."""
    try:
        return TypeAdapter(shape).validate_python(data), []
    except ValidationError as error:
        return None, _told(error, data, source, path)


def _told(error: ValidationError, data: Any, source: Source, path: Path_) -> list[Problem]:
    problems: dict[tuple[str, str], Problem] = {}
    for one in error.errors():
        inner = _real_path(one["loc"], data, one["type"] == "missing")
        if one["type"] == "extra_forbidden":
            choices = _known_keys(inner[:-1])
            message = f"There is no key {inner[-1]!r} here. {near(str(inner[-1]), choices) or 'There are: ' + ', '.join(choices) + '.'}"
        else:
            message = one["msg"].removeprefix("Value error, ")
            shown = _at(data, inner)
            message += "" if isinstance(shown, dict | list) or one["type"] == "value_error" else f" (it is {shown!r})"
        problem = source.problem((*path, *inner), message)
        problems.setdefault((problem.path, message), problem)
    return list(problems.values())


def _real_path(loc: tuple[int | str, ...], data: Any, is_missing: bool) -> Path_:
    """Leave out of pydantic's path what names a member of a union, and is no key of the data."""
    found: list[str | int] = []
    level: Any = data
    for index, part in enumerate(loc):
        is_key = isinstance(level, dict) and part in level
        if is_key or (isinstance(level, list) and isinstance(part, int) and part < len(cast("list[Any]", level))):
            level = cast("Any", level)[part]
            found.append(part)
        elif is_missing and index == len(loc) - 1:
            found.append(part)
    return tuple(found)


def _at(data: Any, path: Path_) -> Any:
    """Return the value at `path` as it is written; None where there is none."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _known_keys(path: Path_) -> list[str]:
    shape: type[Any] = {"schedules": ScheduleSpec, "schedule": ScheduleSpec, "work_pool": WorkPoolSpec}.get(_last_key(path), DeploymentSpec)
    return [name for name in shape.model_fields if name != "sla"]


def _last_key(path: Path_) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")
