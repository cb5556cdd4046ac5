"""When schedules fire: changes of the clock on days on which clocks changed, and what holds for every schedule."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import DAILY, rrule, rruleset
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.model.errors import MissingExtra
from headrace.model.schedules import (
    CronSchedule,
    DeploymentScheduleCreate,
    IntervalSchedule,
    NoSchedule,
    RRuleSchedule,
    Schedule,
    construct_schedule,
    is_schedule_type,
)
from headrace.rules.schedules import DATES_MAX, dates

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia")


def local(schedule: Schedule, start: str, n: int) -> list[str]:
    """Show the next `n` times on the clock of the schedule's zone."""
    zone = ZoneInfo(schedule.timezone or "UTC")
    return [f"{moment.astimezone(zone):%d %H:%M %z}" for moment in dates(schedule, datetime.fromisoformat(start), n)]


CLOCK_CHANGES: list[tuple[str, Schedule, str, list[str]]] = [
    (
        "an hourly cron schedule fires once for each hour that the clock shows, when it leaps",
        CronSchedule(cron="0 * * * *", timezone="Europe/Berlin"),
        "2024-03-30T23:30Z",
        ["31 01:00 +0100", "31 03:00 +0200", "31 04:00 +0200"],
    ),
    (
        "and when it is set back: the hour that comes twice fires the first time",
        CronSchedule(cron="0 * * * *", timezone="America/New_York"),
        "2024-11-03T03:30Z",
        ["03 00:00 -0400", "03 01:00 -0400", "03 02:00 -0500", "03 03:00 -0500"],
    ),
    (
        "a daily cron schedule keeps its hour",
        CronSchedule(cron="0 9 * * 1", timezone="America/New_York"),
        "2024-03-04T00:00Z",
        ["04 09:00 -0500", "11 09:00 -0400", "18 09:00 -0400"],
    ),
    (
        "a time that the clock skips is the first moment after",
        CronSchedule(cron="30 2 * * *", timezone="Europe/Berlin"),
        "2024-03-30T00:00Z",
        ["30 02:30 +0100", "31 03:00 +0200", "01 02:30 +0200"],
    ),
    (
        "that moment itself is a start like any other",
        CronSchedule(cron="30 2 * * *", timezone="Europe/Berlin"),
        "2024-03-31T01:00Z",
        ["31 03:00 +0200", "01 02:30 +0200"],
    ),
    (
        "several times that the clock skips are one",
        CronSchedule(cron="*/15 2,3 * * *", timezone="Europe/Berlin"),
        "2024-03-31T00:00Z",
        ["31 03:00 +0200", "31 03:15 +0200", "31 03:30 +0200"],
    ),
    (
        "a clock may leap by half an hour",
        CronSchedule(cron="*/15 2 * * *", timezone="Australia/Lord_Howe"),
        "2024-10-05T13:30Z",
        ["06 02:30 +1100", "06 02:45 +1100", "07 02:00 +1100"],
    ),
    (
        "an hourly interval counts elapsed time: 01:00 comes twice",
        IntervalSchedule(interval=timedelta(hours=1), anchor_date=datetime(2024, 1, 1, tzinfo=UTC), timezone="America/New_York"),
        "2024-11-03T03:30Z",
        ["03 00:00 -0400", "03 01:00 -0400", "03 01:00 -0500", "03 02:00 -0500"],
    ),
    (
        "a daily interval keeps the local clock; its anchor may be long ago",
        IntervalSchedule(interval=timedelta(days=1), anchor_date=datetime(1990, 7, 1, 9), timezone="America/New_York"),
        "2024-11-02T00:00Z",
        ["02 09:00 -0400", "03 09:00 -0500", "04 09:00 -0500"],
    ),
    (
        "or lie in the future",
        IntervalSchedule(interval=timedelta(days=1), anchor_date=datetime(2090, 7, 1, 9), timezone="America/New_York"),
        "2024-11-02T00:00Z",
        ["02 09:00 -0400", "03 09:00 -0500", "04 09:00 -0500"],
    ),
    (
        "a rule keeps the local clock",
        RRuleSchedule(rrule="FREQ=DAILY;BYHOUR=9", timezone="Europe/Berlin"),
        "2024-10-26T00:00Z",
        ["26 09:00 +0200", "27 09:00 +0100"],
    ),
    (
        "a rule's first day in another zone is read as its own clock",
        RRuleSchedule(rrule="DTSTART;TZID=America/New_York:20240101T090000\nRRULE:FREQ=DAILY", timezone="Europe/Berlin"),
        "2024-01-05T00:00Z",
        ["05 15:00 +0100", "06 15:00 +0100"],
    ),
]


@pytest.mark.parametrize(("schedule", "start", "expected"), [case[1:] for case in CLOCK_CHANGES], ids=[case[0] for case in CLOCK_CHANGES])
def test_changes_of_the_clock(schedule: Schedule, start: str, expected: list[str]) -> None:
    assert local(schedule, start, len(expected)) == expected


def test_days_of_month_and_week_are_joined_with_or_unless_told_otherwise() -> None:
    start = datetime(2024, 9, 1, tzinfo=UTC)
    either = dates(CronSchedule(cron="0 0 13 * 5"), start, 4)
    both = dates(CronSchedule(cron="0 0 13 * 5", day_or=False), start, 2)
    assert [(day.month, day.day) for day in either] == [(9, 6), (9, 13), (9, 20), (9, 27)]
    assert [(day.month, day.day) for day in both] == [(9, 13), (12, 13)]


def test_rule_ends_with_its_count_or_its_last_day() -> None:
    start = datetime(2019, 1, 1, tzinfo=UTC)
    assert [day.day for day in dates(RRuleSchedule(rrule="FREQ=DAILY;COUNT=3"), start, 10)] == [1, 2, 3]
    until = RRuleSchedule(rrule="FREQ=DAILY;UNTIL=20200103T230000Z", timezone="Asia/Tokyo")
    assert [day.astimezone(ZoneInfo("Asia/Tokyo")).day for day in dates(until, start, 10)] == [1, 2, 3, 4]  # 08:00 on the 4th in Tokyo


def test_set_of_rules_leaves_out_its_exceptions() -> None:
    schedule = RRuleSchedule(rrule="RRULE:FREQ=DAILY\nEXDATE:20241104T000000")
    assert [day.day for day in dates(schedule, datetime(2024, 11, 3, tzinfo=UTC), 3)] == [3, 5, 6]


@pytest.mark.parametrize("rule", ["FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31", "FREQ=DAILY;UNTIL=20200101"])
def test_rule_without_coming_times_has_none(rule: str) -> None:
    assert dates(RRuleSchedule(rrule=rule), datetime(2024, 1, 1, tzinfo=UTC), 3) == []
    assert dates(CronSchedule(cron="0 0 31 2 *"), datetime(2024, 1, 1, tzinfo=UTC), 3) == []


def test_old_rule_of_minutes_is_not_walked_from_its_first_day() -> None:
    schedule = RRuleSchedule(rrule="DTSTART:19700101T000000\nRRULE:FREQ=MINUTELY;INTERVAL=7")
    first = dates(schedule, datetime(2024, 1, 1, tzinfo=UTC))[0]
    assert (first - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=7) == timedelta(0)
    assert timedelta(0) <= first - datetime(2024, 1, 1, tzinfo=UTC) < timedelta(minutes=7)


def test_number_of_times() -> None:
    schedule = IntervalSchedule(interval=timedelta(seconds=1), anchor_date=datetime(2024, 1, 1, tzinfo=UTC))
    start = datetime(2024, 1, 1, tzinfo=UTC)
    assert len(dates(schedule, start)) == 1
    assert len(dates(schedule, start, end=start + timedelta(seconds=5))) == 6
    assert len(dates(schedule, start, 3, start + timedelta(seconds=5))) == 3
    assert len(dates(schedule, start, 5000)) == len(dates(schedule, start, end=start + timedelta(days=1))) == DATES_MAX
    assert dates(schedule, start, 0) == []


def test_start_without_offset_is_local() -> None:
    schedule = CronSchedule(cron="0 9 * * *", timezone="Europe/Berlin")
    assert dates(schedule, datetime(2024, 7, 1, 9)) == [datetime(2024, 7, 1, 7, tzinfo=UTC)]


REFUSED = [
    ({"cron": "nope"}, "Invalid cron string: 'nope'"),
    ({"cron": "61 * * * *"}, "Invalid cron string"),
    ({"cron": "H * * * *"}, "Random and Hashed expressions are unsupported"),
    ({"cron": "0 9 * * *", "timezone": "Europe/Berln"}, "Did you mean 'Europe/Berlin'"),
    ({"interval": 0}, "greater than 0 seconds"),
    ({"interval": -3600}, "greater than 0 seconds"),
    ({"rrule": "FREQ=OFTEN"}, "Invalid RRule string 'FREQ=OFTEN'"),
    ({"rrule": "FREQ=DAILY;BYDAY=" + "MO," * 3000}, "more than 6500"),
    ({"rrule": "FREQ=SECONDLY;COUNT=1000000"}, "COUNT is 1000000, more than 100000"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[str(case[0])[:40] for case in REFUSED])
def test_what_is_no_schedule_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DeploymentScheduleCreate.model_validate({"schedule": values})


def test_time_zone_is_that_of_the_anchor() -> None:
    assert IntervalSchedule(interval=timedelta(1), anchor_date=datetime(2024, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo"))).timezone == "Asia/Tokyo"
    assert IntervalSchedule.model_validate({"interval": 60, "anchor_date": "2024-01-01T00:00:00+02:00"}).timezone == "Etc/GMT-2"
    assert IntervalSchedule(interval=timedelta(1)).timezone == "UTC"


# --- what holds for every schedule ----------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC))
ZONE = st.sampled_from(ZONES)
INTERVALS = st.builds(
    IntervalSchedule,
    interval=st.integers(60, 4_000_000).map(lambda seconds: timedelta(seconds=seconds)),
    anchor_date=MOMENTS,
    timezone=ZONE,
)
FIELDS = st.tuples(
    st.sampled_from(["0", "30", "*/7", "15,45", "*"]),
    st.sampled_from(["*", "2", "1-3", "*/5", "9"]),
    st.sampled_from(["*", "31", "1-7", "*/10"]),
    st.sampled_from(["*", "3,10,11", "2"]),
    st.sampled_from(["*", "1-5", "SUN"]),
)
CRONS = st.builds(CronSchedule, cron=FIELDS.map(" ".join), timezone=ZONE, day_or=st.booleans())
RULES = st.builds(
    RRuleSchedule,
    rrule=st.sampled_from(
        [
            "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
            "FREQ=HOURLY;INTERVAL=5",
            "FREQ=MINUTELY;INTERVAL=13",
            "FREQ=WEEKLY;BYDAY=SU;INTERVAL=2",
            "FREQ=MONTHLY;BYDAY=2FR",
        ]
    ),
    timezone=ZONE,
)
ANY = st.one_of(INTERVALS, CRONS, RULES)


@settings(max_examples=80, deadline=None)
@given(schedule=ANY, start=MOMENTS)
def test_times_are_in_order_and_not_before_the_start(schedule: Schedule, start: datetime) -> None:
    found = dates(schedule, start, 20)
    assert all(one < other for one, other in pairwise(found))
    assert all(moment >= start for moment in found)


@settings(max_examples=80, deadline=None)
@given(schedule=ANY, start=MOMENTS, skipped=st.integers(0, 10))
@example(CronSchedule(cron="30 2 * * *", timezone="Europe/Berlin"), datetime(2024, 3, 30, tzinfo=UTC), 1)
def test_times_do_not_depend_on_when_they_are_asked_for(schedule: Schedule, start: datetime, skipped: int) -> None:
    found = dates(schedule, start, skipped + 5)
    if len(found) > skipped:
        assert dates(schedule, found[skipped], 5) == found[skipped : skipped + 5]
        assert dates(schedule, start, end=found[-1])[-1:] == (found[-1:] if len(found) < DATES_MAX else [])


@settings(max_examples=60, deadline=None)
@given(schedule=INTERVALS, start=MOMENTS)
def test_interval_is_kept_in_elapsed_time_or_on_the_local_clock(schedule: IntervalSchedule, start: datetime) -> None:
    found = dates(schedule, start, 10)
    zone = ZoneInfo(schedule.timezone or "UTC")
    if schedule.interval < timedelta(days=1):
        assert {other - one for one, other in pairwise(found)} == {schedule.interval}
        assert found[0] - start < schedule.interval
    else:
        clocks = [moment.astimezone(zone).replace(tzinfo=None) for moment in found]
        strays = [other - one for one, other in pairwise(clocks) if other - one != schedule.interval]
        assert all(abs(stray - schedule.interval) <= timedelta(hours=1) for stray in strays)  # a time that the clock skipped


# --- what authors do with schedules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("package", "schedule"), [("croniter", {"cron": "0 9 * * *"}), ("dateutil.rrule", {"rrule": "FREQ=DAILY"})])
def test_author_needs_no_package_to_write_a_schedule_and_the_server_names_the_one_it_lacks(
    monkeypatch: pytest.MonkeyPatch, package: str, schedule: dict[str, str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    written = DeploymentScheduleCreate.model_validate({"schedule": schedule}).schedule
    with pytest.raises(MissingExtra, match=r'pip install "headrace\[server\]"'):
        dates(written, datetime(2024, 1, 1, tzinfo=UTC))


def test_schedule_is_made_of_one_kind() -> None:
    anchor = datetime(2024, 1, 1, tzinfo=UTC)
    assert construct_schedule(interval=60, anchor_date=anchor) == IntervalSchedule(interval=timedelta(seconds=60), anchor_date=anchor)
    assert construct_schedule(cron="0 9 * * *", timezone="Asia/Tokyo") == CronSchedule(cron="0 9 * * *", timezone="Asia/Tokyo")
    assert construct_schedule(rrule="FREQ=DAILY") == RRuleSchedule(rrule="FREQ=DAILY")
    wrong: list[dict[str, Any]] = [{}, {"interval": 60, "cron": "0 9 * * *"}, {"cron": "0 9 * * *", "anchor_date": "2024-01-01"}]
    for fields in wrong:
        with pytest.raises(ValueError, match="given|anchor date"):
            construct_schedule(**fields)
    assert is_schedule_type(NoSchedule())
    assert not is_schedule_type("0 9 * * *")


def test_rule_goes_to_dateutil_and_back() -> None:
    rule = rrule(DAILY, dtstart=datetime(2024, 3, 30, 9, tzinfo=ZoneInfo("Europe/Berlin")), count=2)
    schedule = RRuleSchedule.from_rrule(rule)
    assert schedule.timezone == "Europe/Berlin"
    assert dates(schedule, datetime(2024, 1, 1, tzinfo=UTC), 5) == [moment.astimezone(UTC) for moment in rule]
    assert list(schedule.to_rrule()) == [moment.replace(tzinfo=None) for moment in rule]
    several = rruleset()
    several.rrule(rrule(DAILY, dtstart=datetime(2024, 1, 1), count=3))
    several.exdate(datetime(2024, 1, 2))
    assert [moment.day for moment in dates(RRuleSchedule.from_rrule(several), datetime(2024, 1, 1, tzinfo=UTC), 5)] == [1, 3]
    with pytest.raises(ValueError, match="empty"):
        RRuleSchedule.from_rrule(rruleset())
    several.rrule(rrule(DAILY, dtstart=datetime(2025, 1, 1), count=3))
    with pytest.raises(ValueError, match="different days"):
        RRuleSchedule.from_rrule(several)
