"""Schedules as authors write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.client.schemas.schedules import CronSchedule, IntervalSchedule
from headrace.deploy.schedules import collected
from headrace.deployments.schedules import create_deployment_schedule_create, normalize_to_deployment_schedule
from headrace.schedules import Cron, Interval, RRule, Schedule


@pytest.mark.parametrize(
    ("make", "text"),
    [
        pytest.param(lambda: Cron("nope"), "Invalid cron string", marks=pytest.mark.needs_server),
        (lambda: Cron("0 9 * * *", timezone="Europe/Berlni"), "Europe/Berlin"),
        (lambda: Interval(0), "greater than 0"),
        (lambda: Interval(timedelta(days=-1)), "greater than 0"),
        pytest.param(lambda: RRule("FREQ=DAILY;COUNT=x"), "Invalid RRule", marks=pytest.mark.needs_server),
        (lambda: RRule("RRULE:FREQ=DAILY;" + "X" * 6500), "more than 6500"),
        (lambda: Schedule(cron="* * * * *", interval=timedelta(1)), "interval and cron"),
        (lambda: Schedule(), "none was given"),
    ],
)
def test_wrong_schedule_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_number_is_an_interval_of_seconds() -> None:
    schedule = Interval(90, slug="often", parameters={"x": 1})
    assert schedule.interval == timedelta(seconds=90)
    sent = create_deployment_schedule_create(schedule)
    assert (sent.slug, sent.parameters, sent.active) == ("often", {"x": 1}, True)


def test_anchor_without_an_offset_is_local_time() -> None:
    sent = create_deployment_schedule_create(Interval(timedelta(days=1), anchor_date=datetime(2026, 7, 1, 9), timezone="Europe/Berlin"))
    assert isinstance(sent.schedule, IntervalSchedule)
    assert sent.schedule.anchor_date == datetime(2026, 7, 1, 7, tzinfo=UTC)


def test_every_documented_form_is_taken() -> None:
    plain = CronSchedule(cron="0 9 * * 1")
    forms = [
        Cron("0 9 * * 1", day_or=False, active=False),
        plain,
        (plain, False),
        {"cron": "0 9 * * 1", "slug": "s"},
        {"schedule": plain, "active": False},
    ]
    found = normalize_to_deployment_schedule(forms)
    assert [one.active for one in found] == [False, True, False, True, False]
    assert found[0].schedule == CronSchedule(cron="0 9 * * 1", day_or=False)
    assert found[3].slug == "s"


def test_several_values_are_several_schedules() -> None:
    found = collected(cron=["0 9 * * *", "0 17 * * *"])
    assert found is not None
    assert len(found) == 2
    assert collected() is None


def test_two_kinds_of_schedule_are_refused() -> None:
    with pytest.raises(ValueError, match="given were interval and cron"):
        collected(interval=60, cron="* * * * *")


@pytest.mark.parametrize("given", [{"cron": "0 0 30 2 *"}, {"rrule": "DTSTART:20200101T000000\nRRULE:FREQ=DAILY;COUNT=2"}])
@pytest.mark.needs_server
def test_schedule_that_never_fires_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="never fires"):
        collected(**given)
