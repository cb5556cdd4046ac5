"""Schedules as authors of deployments write them, and what is sent of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from headrace.model import clock
from headrace.model.errors import MissingExtra
from headrace.model.schedules import (
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    construct_schedule,
    is_schedule_type,
)
from headrace.model.schedules import Schedule as Timing
from headrace.rules.schedules import dates


def _no_parameters() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Schedule:
    """When runs of a deployment begin: one of `interval`, `cron` and `rrule`.

    `interval` is a duration, or a number of seconds, counted from `anchor_date` (default: now). Times are on the local clock of `timezone`, UTC
    unless it is given. `day_or`: days of the month and of the week in `cron` are joined with OR; False joins them with AND. A schedule that is not
    `active` makes no runs. `parameters` win over those of the deployment. `slug` names the schedule, so that it can be changed later.

    Raises `ValueError` for more or less than one kind, an expression that cannot be read, an interval that is not positive, an unknown time zone.
    """

    interval: timedelta | None = None
    cron: str | None = None
    rrule: str | None = None
    timezone: str | None = None
    anchor_date: datetime = field(default_factory=clock.now)
    day_or: bool = True
    active: bool = True
    parameters: dict[str, Any] = field(default_factory=_no_parameters)
    slug: str | None = None

    def __post_init__(self) -> None:
        interval: Any = self.interval
        if isinstance(interval, (int, float)) and not isinstance(interval, bool):
            object.__setattr__(self, "interval", timedelta(seconds=interval))
        if self.anchor_date.tzinfo is None:
            object.__setattr__(self, "anchor_date", self.anchor_date.replace(tzinfo=ZoneInfo(self.timezone or "UTC")))
        self.timing()

    def timing(self) -> Timing:
        """Return the times alone."""
        anchor = self.anchor_date if self.interval is not None else None
        try:
            timing = construct_schedule(interval=self.interval, anchor_date=anchor, cron=self.cron, rrule=self.rrule, timezone=self.timezone)
        except ValueError as error:
            raise ValueError(_first_line(error)) from None
        return timing.model_copy(update={"day_or": self.day_or}) if self.cron is not None else timing


def _first_line(error: ValueError) -> str:
    """Return what is wrong, without pydantic's frame around it."""
    listed: Any = getattr(error, "errors", None)
    if listed is None:
        return str(error)
    first = listed()[0]
    where = ".".join(str(part) for part in first["loc"])
    text = str(first["msg"]).removeprefix("Value error, ")
    return text if "Invalid" in text or "unsupported" in text else f"Invalid schedule: {where}: {text}, not {first['input']!r}"


def Cron(
    cron: str,
    /,
    timezone: str | None = None,
    day_or: bool = True,
    active: bool = True,
    parameters: dict[str, Any] | None = None,
    slug: str | None = None,
) -> Schedule:
    """Make a schedule of a cron expression, such as "0 8 * * 1" for Mondays at 8. See `Schedule`."""
    return Schedule(cron=cron, timezone=timezone, day_or=day_or, active=active, parameters=parameters or {}, slug=slug)


def Interval(
    interval: float | timedelta,
    /,
    anchor_date: datetime | None = None,
    timezone: str | None = None,
    active: bool = True,
    parameters: dict[str, Any] | None = None,
    slug: str | None = None,
) -> Schedule:
    """Make a schedule of a duration, or a number of seconds, between two runs. See `Schedule`."""
    if isinstance(interval, (int, float)):
        interval = timedelta(seconds=interval)
    anchor = anchor_date or clock.now()
    return Schedule(interval=interval, anchor_date=anchor, timezone=timezone, active=active, parameters=parameters or {}, slug=slug)


def RRule(
    rrule: str,
    /,
    timezone: str | None = None,
    active: bool = True,
    parameters: dict[str, Any] | None = None,
    slug: str | None = None,
) -> Schedule:
    """Make a schedule of an iCalendar recurrence rule, such as "RRULE:FREQ=MONTHLY;BYDAY=2FR". See `Schedule`."""
    return Schedule(rrule=rrule, timezone=timezone, active=active, parameters=parameters or {}, slug=slug)


# --- what is sent -------------------------------------------------------------------------------------------------------------


def create_deployment_schedule_create(schedule: Any, active: bool | None = True) -> DeploymentScheduleCreate:
    """Return a schedule as it is sent: one of `headrace.schedules`, or one of the client's schemas with whether it is `active`."""
    if isinstance(schedule, Schedule):
        return DeploymentScheduleCreate(schedule=schedule.timing(), active=schedule.active, parameters=schedule.parameters, slug=schedule.slug)
    return DeploymentScheduleCreate(schedule=schedule, active=True if active is None else active)


def normalize_to_deployment_schedule(schedules: Iterable[Any] | None) -> list[DeploymentScheduleCreate | DeploymentScheduleUpdate]:
    """Return schedules given in any of the documented forms as they are sent.

    A form is a `Schedule`, one of the client's schemas, a mapping of the fields of a schedule, or a pair of a schedule and whether it is active.
    Raises `ValueError` for any other, and for one that does not say when.
    """
    return [_normalized(one) for one in schedules or ()]


def _normalized(given: Any) -> DeploymentScheduleCreate | DeploymentScheduleUpdate:
    if isinstance(given, DeploymentScheduleCreate | DeploymentScheduleUpdate):
        return given
    if isinstance(given, Schedule) or is_schedule_type(given):
        return create_deployment_schedule_create(given)
    if isinstance(given, tuple) and len(cast("tuple[Any, ...]", given)) == 2:
        schedule, active = cast("tuple[Any, Any]", given)
        return create_deployment_schedule_create(schedule, bool(active))
    if isinstance(given, Mapping):
        return _of_mapping(dict(cast("Mapping[str, Any]", given)))
    raise ValueError(f"Invalid schedule: {given!r}. Give a schedule of headrace.schedules, such as Cron('0 8 * * *').")


def _of_mapping(given: dict[str, Any]) -> DeploymentScheduleCreate:
    timing = given.pop("schedule", None)
    around = {name: given.pop(name) for name in ("active", "parameters", "slug", "max_scheduled_runs", "replaces") if given.get(name) is not None}
    if timing is None:
        day_or = given.pop("day_or", None)
        timing = construct_schedule(**given)
        if day_or is not None and given.get("cron"):
            timing = timing.model_copy(update={"day_or": day_or})
    return DeploymentScheduleCreate(schedule=timing, **around)


def collected(
    interval: Any = None, cron: Any = None, rrule: Any = None, schedule: Any = None, schedules: Iterable[Any] | None = None
) -> list[DeploymentScheduleCreate | DeploymentScheduleUpdate] | None:
    """Return the schedules that the one of these arguments describes which is given; None when none is, so that nothing is said of schedules.

    `interval`, `cron` and `rrule` may be several values. Raises `ValueError` when more than one argument is given, and for a schedule that never
    fires.
    """
    named = {"interval": interval, "cron": cron, "rrule": rrule, "schedule": schedule, "schedules": schedules}
    given = {name: value for name, value in named.items() if value is not None}
    if len(given) > 1:
        raise ValueError(f"Only one of interval, cron, rrule, schedule, or schedules can be provided; given were {' and '.join(given)}.")
    if not given:
        return None
    ((kind, value),) = given.items()
    if kind == "schedules":
        found = normalize_to_deployment_schedule(cast("Iterable[Any]", value))
    elif kind == "schedule":
        found = normalize_to_deployment_schedule([value])
    else:
        several = isinstance(value, Iterable) and not isinstance(value, str)
        values = cast("list[Any]", list(cast("Iterable[Any]", value)) if several else [value])
        found = normalize_to_deployment_schedule([Schedule(**{kind: one}) for one in values])
    for one in found:
        _check_fires(one)
    return found


def _check_fires(schedule: DeploymentScheduleCreate | DeploymentScheduleUpdate) -> None:
    timing = schedule.schedule
    if timing is None:
        return
    try:
        if dates(timing, clock.now(), 1):
            return
    except MissingExtra:  # an author's installation need not have it: the server looks
        return
    shown = getattr(timing, "cron", None) or getattr(timing, "rrule", None) or timing
    raise ValueError(f"The schedule {shown!r} never fires: no time from now on fits it. Correct it, or leave it out.")
