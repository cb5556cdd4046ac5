"""When a schedule fires. Pure: a schedule and a moment in, times in UTC out.

Cron expressions and recurrence rules name times of the local clock. Where the clock leaps forward, a time that it skips is the first
moment after; where it is set back, a time that comes twice is its first. So an hourly cron schedule fires once for each hour that the clock
shows, and a daily one keeps its hour. Intervals below 24 hours count elapsed time instead; longer ones are added on the local clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count, islice
from typing import Any, assert_never, cast
from zoneinfo import ZoneInfo

from headrace.model.errors import MissingExtra
from headrace.model.schedules import RRULE_FIRST_DAY, CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

DATES_MAX = 1000
"""Times that are computed at once, at most."""

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_LAST_DAY = datetime(9990, 1, 1)
_STEPS = (366 * _DAY, 31 * _DAY, 7 * _DAY, _DAY, timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))
"""The step of each frequency of a recurrence rule, in the order of dateutil's constants, from YEARLY to SECONDLY."""
_STEPS_MAX = (8000, 5000, 5000, 15_000, 80_000, 150_000, 180_000)
"""Over how many steps a rule is followed: it may name a day that never comes. 40 years for a daily one, 2 days for one of seconds."""
_EVEN_STEPS = 2  # from WEEKLY on, all steps are of one length
_ZONED = re.compile(r"(?:;TZID=(?P<zone>[^:;\n]+))?(?P<colon>[:=,])(?P<time>\d{8}T\d{6})(?P<utc>Z?)", re.IGNORECASE)


def dates(schedule: Schedule, start: datetime, n: int | None = None, end: datetime | None = None) -> list[datetime]:
    """Return the times at which `schedule` fires from `start` to `end`, both included, in order and in UTC.

    At most `n` of them, and never more than 1,000; one alone when neither `n` nor `end` is given. `start` and `end` without an offset are
    local times of the schedule. Raises `MissingExtra` when the package that reads cron expressions or recurrence rules is not installed.
    """
    most = DATES_MAX if n is None and end is not None else 1 if n is None else n
    return list(islice(coming(schedule, start, end), max(0, most)))


def coming(schedule: Schedule, start: datetime, end: datetime | None = None) -> Iterator[datetime]:
    """Yield what `dates` returns, each when it is asked for."""
    zone = ZoneInfo(schedule.timezone or "UTC")
    first = _aware(start, zone)
    last = _aware(end, zone) if end is not None else None
    found, before = 0, first - _TICK
    for moment in _moments(schedule, zone, first, last):
        if moment <= before:
            continue
        if found >= DATES_MAX or (last is not None and moment > last):
            return
        yield moment
        found, before = found + 1, moment


def _moments(schedule: Schedule, zone: tzinfo, first: datetime, last: datetime | None) -> Iterator[datetime]:
    match schedule:
        case IntervalSchedule():
            return _of_interval(schedule, zone, first)
        case CronSchedule():
            return _of_cron(schedule, zone, first)
        case RRuleSchedule():
            return _of_rrule(schedule, zone, first, last)
        case _:
            assert_never(schedule)


def _of_interval(schedule: IntervalSchedule, zone: tzinfo, first: datetime) -> Iterator[datetime]:
    step, anchor = schedule.interval, schedule.anchor_date.astimezone(UTC)
    if step < _DAY:
        steps = -((anchor - first) // step)
        return (anchor + step * number for number in count(steps))
    local = _naive(anchor, zone)
    steps = (_naive(first, zone) - local) // step  # one too early perhaps, and `dates` passes over it
    return (_instant(local + step * number, zone) for number in count(steps))


def _of_cron(schedule: CronSchedule, zone: tzinfo, first: datetime) -> Iterator[datetime]:
    try:
        from croniter import CroniterBadDateError, croniter
    except ImportError as error:
        raise _missing("croniter", "Cron schedules") from error
    found: Any = croniter(schedule.cron, _naive(first - _TICK, zone), day_or=schedule.day_or)
    while True:
        try:
            local = cast("datetime", found.get_next(datetime))
        except CroniterBadDateError:  # no such day will come
            return
        yield _instant(local, zone)


def _of_rrule(schedule: RRuleSchedule, zone: tzinfo, first: datetime, last: datetime | None) -> Iterator[datetime]:
    try:
        from dateutil.rrule import rrule, rruleset, rrulestr
    except ImportError as error:
        raise _missing("python-dateutil", "Schedules of recurrence rules") from error
    text = _ZONED.sub(lambda found: _localised(found, zone), schedule.rrule)
    parsed: Any = rrulestr(text, dtstart=RRULE_FIRST_DAY, ignoretz=True)
    begin = _naive(first - _TICK, zone)
    until = _naive(last, zone) if last is not None else None
    if isinstance(parsed, rruleset):
        parts: Any = parsed
        parts._rrule = [_bounded(rule, begin, until) for rule in parts._rrule]
        parts._exrule = [_bounded(rule, begin, until) for rule in parts._exrule]
    else:
        assert isinstance(parsed, rrule)
        parsed = _bounded(parsed, begin, until)
    return (_instant(local, zone) for local in parsed.xafter(begin))


def _bounded(rule: Any, begin: datetime, until: datetime | None) -> Any:
    """Return `rule` without the steps that lie before `begin`, which would be walked one by one, and with an end."""
    frequency: int = rule._freq
    interval: int = rule._interval
    step = _STEPS[frequency] * interval
    start: datetime = rule._dtstart
    changes: dict[str, Any] = {}
    if rule._count is None and frequency >= _EVEN_STEPS and begin > start:
        passed = (begin - start) // step
        if passed > 1:
            changes["dtstart"] = start = start + step * (passed - 1)
    if rule._count is None:
        furthest = max(start, begin)
        furthest += min(step * _STEPS_MAX[frequency], max(_LAST_DAY - furthest, _DAY))
        ends = [end for end in (rule._until, until and until + _DAY, furthest) if end is not None]
        changes["until"] = min(ends)
    return rule.replace(**changes) if changes else rule


def _localised(found: re.Match[str], zone: tzinfo) -> str:
    """Write a time that names its zone as one of the schedule's local clock. The rules of the library know no zones."""
    if not found["zone"] and not found["utc"]:
        return found[0]
    moment = datetime.strptime(found["time"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC if found["utc"] else ZoneInfo(found["zone"]))
    return f"{found['colon']}{_naive(moment, zone):%Y%m%dT%H%M%S}"


def _naive(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo is not None else _instant(moment, zone)


def _instant(local: datetime, zone: tzinfo) -> datetime:
    """Return the moment of a local time: the first that shows it, or the end of the leap that skips it."""
    aware = local.replace(tzinfo=zone, fold=0)
    moment = aware.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local:
        return moment
    before, after = aware.utcoffset(), aware.replace(fold=1).utcoffset()
    assert before is not None and after is not None, "zones of the IANA database have offsets"
    return _leap(moment - (before - after if before > after else after - before), moment, zone)


def _leap(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Return the first moment after `low` at which the clock shows another offset than at `low`, by bisection, to the second."""
    offset = low.astimezone(zone).utcoffset()
    low, high = low.replace(microsecond=0), high.replace(microsecond=0) + timedelta(seconds=1)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def _missing(package: str, what: str) -> MissingExtra:
    return MissingExtra(f'{what} need the package {package}, which the server brings. Install it with `pip install "headrace[server]"`.')
