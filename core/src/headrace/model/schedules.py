"""Schedules: when a deployment's runs begin. The times themselves are computed in `rules/schedules.py`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any, TypeGuard
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, field_validator, model_validator

from headrace.model import clock
from headrace.model.base import Action, Record
from headrace.model.errors import near

RRULE_CHARACTERS_MAX = 6500
RRULE_COUNT_MAX = 100_000
"""Occurrences that a rule may have: each is walked over, from the first, whenever coming times are asked for."""
RRULE_FIRST_DAY = datetime(2020, 1, 1)
"""Where a rule begins that does not say so: an agreed day, since one that moved would move its times."""

_RANDOM_CRON = re.compile(r"(?:^|[\s,/-])[HR](?=$|[\s,/(-])", re.IGNORECASE)
_RRULE_COUNT = re.compile(r"(?:^|[;:])COUNT=(\d+)", re.IGNORECASE)


def is_valid_timezone(name: str) -> bool:
    """Say whether `name` is a time zone of the IANA database, such as `Europe/Berlin`."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such name, a folder of names, or no name at all
        return False
    return bool(name)


def _checked_timezone(name: str | None) -> str | None:
    if name is not None and not is_valid_timezone(name):
        raise ValueError(f"Invalid timezone {name!r}: it is not in the IANA database. {near(name, available_timezones())}".rstrip())
    return name


Timezone = Annotated[str | None, AfterValidator(_checked_timezone)]


class IntervalSchedule(Action):
    """A run every `interval`, counted from `anchor_date` forwards and backwards.

    Intervals below 24 hours count elapsed time; longer ones keep the local clock of `timezone` over changes to summer time and back. An
    anchor without an offset is local time in `timezone`. Without a `timezone`, the anchor's own counts; without an anchor, it is now.
    """

    interval: timedelta = Field(gt=timedelta(0))
    anchor_date: datetime = Field(default_factory=clock.now)
    timezone: Timezone = None

    @model_validator(mode="after")
    def _settle(self) -> IntervalSchedule:
        """Make the anchor an aware time, and the time zone a name."""
        if self.timezone is None:
            object.__setattr__(self, "timezone", _name_of(self.anchor_date.tzinfo, self.anchor_date))
        if self.anchor_date.tzinfo is None:
            object.__setattr__(self, "anchor_date", self.anchor_date.replace(tzinfo=ZoneInfo(self.timezone or "UTC")))
        object.__setattr__(self, "anchor_date", self.anchor_date.astimezone(UTC))
        return self


def _name_of(zone: tzinfo | None, moment: datetime) -> str:
    """Return a zone's name: its own, or that of a fixed offset of whole hours; UTC for what has no name."""
    key = getattr(zone, "key", None)
    if key is not None:
        return str(key)
    offset = moment.utcoffset() or timedelta(0)
    hours, rest = divmod(offset, timedelta(hours=1))
    return f"Etc/GMT{-hours:+d}" if hours and not rest and -14 <= -hours <= 12 else "UTC"


class CronSchedule(Action):
    """A run at the times that a cron expression names, on the local clock of `timezone` (UTC when none is given).

    A time that the clock skips is that of the first moment after; one that comes twice is its first. `day_or`: days of the month and of the
    week are joined with OR, as cron does; False joins them with AND.
    """

    cron: str
    timezone: Timezone = None
    day_or: bool = True

    @field_validator("cron")
    @classmethod
    def valid_cron_string(cls, v: str) -> str:
        """Return `v` if it is a cron expression whose times do not depend on chance."""
        if _RANDOM_CRON.search(v):
            raise ValueError(f"Random and Hashed expressions are unsupported, received: {v!r}")
        try:
            from croniter import croniter
        except ImportError:  # an author's installation need not have it: the server looks again
            return v
        if not croniter.is_valid(v):
            raise ValueError(f"Invalid cron string: {v!r}. It has five fields: minute, hour, day of the month, month, day of the week.")
        return v


class RRuleSchedule(Action):
    """A run at the times of an iCalendar recurrence rule (RFC 5545), on the local clock of `timezone`.

    A rule without DTSTART begins on 1 January 2020. Times that the clock skips or repeats are read as for `CronSchedule`.
    """

    rrule: str
    timezone: Timezone = "UTC"

    @field_validator("rrule")
    @classmethod
    def validate_rrule_str(cls, v: str) -> str:
        """Return `v` if it is a rule, or a set of rules, that can be walked in reasonable time."""
        if len(v) > RRULE_CHARACTERS_MAX:
            raise ValueError(f"Invalid RRule string: it has {len(v)} characters, more than {RRULE_CHARACTERS_MAX}.")
        count = _RRULE_COUNT.search(v)
        if count is not None and int(count[1]) > RRULE_COUNT_MAX:
            raise ValueError(f"Invalid RRule string: COUNT is {count[1]}, more than {RRULE_COUNT_MAX}. Give it an UNTIL instead.")
        try:
            from dateutil.rrule import rrulestr
        except ImportError:  # an author's installation need not have it: the server looks again
            return v
        try:
            rrulestr(v, dtstart=RRULE_FIRST_DAY, ignoretz=True)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"Invalid RRule string {v!r}: {error}") from error
        return v

    @field_validator("timezone")
    @classmethod
    def _utc_for_none(cls, v: str | None) -> str:
        return v or "UTC"

    @classmethod
    def from_rrule(cls, rrule: Any) -> RRuleSchedule:
        """Make a schedule of a rule or set of rules of `dateutil`; its time zone is that of the rule's first day.

        Raises `ValueError` for a set that is empty or whose rules begin on different days, which one text cannot say.
        """
        rules: list[Any] = getattr(rrule, "_rrule", [rrule])
        excluded: list[Any] = getattr(rrule, "_exrule", [])
        days: list[datetime] = getattr(rrule, "_rdate", [])
        left_out: list[datetime] = getattr(rrule, "_exdate", [])
        firsts = {rule._dtstart for rule in (*rules, *excluded)} or set(days[:1])
        if len(firsts) != 1:
            raise ValueError("The set of rules is empty." if not firsts else "The rules of the set begin on different days; give them one DTSTART.")
        (first,) = firsts
        lines = [f"DTSTART:{first:%Y%m%dT%H%M%S}"] if rules or excluded else []
        lines += [str(rule).rpartition("\n")[2] for rule in rules]
        lines += [str(rule).rpartition("\n")[2].replace("RRULE:", "EXRULE:", 1) for rule in excluded]
        lines += [f"{word}:{day:%Y%m%dT%H%M%S}" for word, days_of_set in (("RDATE", days), ("EXDATE", left_out)) for day in days_of_set]
        return cls(rrule="\n".join(lines), timezone=_name_of(first.tzinfo, first))

    def to_rrule(self) -> Any:
        """Return the rule, or set of rules, of `dateutil`; its times are local ones without an offset."""
        from dateutil.rrule import rrulestr

        return rrulestr(self.rrule, dtstart=RRULE_FIRST_DAY, ignoretz=True)


class NoSchedule(Action):
    """No runs of their own accord."""


Schedule = IntervalSchedule | CronSchedule | RRuleSchedule


def is_schedule_type(obj: object) -> TypeGuard[Schedule | NoSchedule]:
    """Say whether `obj` is a schedule, or the lack of one."""
    return isinstance(obj, IntervalSchedule | CronSchedule | RRuleSchedule | NoSchedule)


def construct_schedule(
    interval: float | timedelta | None = None,
    anchor_date: datetime | str | None = None,
    cron: str | None = None,
    rrule: str | None = None,
    timezone: str | None = None,
) -> Schedule:
    """Make a schedule of the one of `interval` (a number counts seconds), `cron` and `rrule` that is given. Raises `ValueError` otherwise."""
    given = [name for name, value in (("interval", interval), ("cron", cron), ("rrule", rrule)) if value is not None]
    if len(given) != 1:
        shown = f"{' and '.join(given)} were" if given else "none was"
        raise ValueError(f"Exactly one of interval, cron, and rrule must be given to make a schedule; {shown} given.")
    if anchor_date is not None and interval is None:
        raise ValueError("An anchor date can only be provided with an interval schedule.")
    values: dict[str, Any] = {"interval": interval, "anchor_date": anchor_date, "cron": cron, "rrule": rrule, "timezone": timezone}
    values = {name: value for name, value in values.items() if value is not None}
    if interval is not None:
        return IntervalSchedule.model_validate(values)
    return CronSchedule.model_validate(values) if cron is not None else RRuleSchedule.model_validate(values)


ScheduledRunsMax = Annotated[int, Field(gt=0)]
"""How many coming runs of a schedule there may be at once."""


class DeploymentSchedule(Record):
    """A schedule of a deployment. Its `parameters` win over the deployment's; its `slug` is unique in the deployment."""

    deployment_id: UUID | None = None
    schedule: Schedule
    active: bool = True
    max_scheduled_runs: ScheduledRunsMax | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    slug: str | None = None


class DeploymentScheduleCreate(Action):
    """A schedule to be made. `replaces` is the slug of one whose place it takes."""

    active: bool = True
    schedule: Schedule
    max_scheduled_runs: ScheduledRunsMax | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    slug: str | None = None
    replaces: str | None = None


class DeploymentScheduleUpdate(Action):
    """What changes in a schedule; fields that are not given stay."""

    active: bool | None = None
    schedule: Schedule | None = None
    max_scheduled_runs: ScheduledRunsMax | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    slug: str | None = None
    replaces: str | None = None
