"""When runs begin."""

from headrace.model.schedules import (
    CronSchedule,
    IntervalSchedule,
    NoSchedule,
    RRuleSchedule,
    construct_schedule,
    is_schedule_type,
    is_valid_timezone,
)

__all__ = [
    "CronSchedule",
    "IntervalSchedule",
    "NoSchedule",
    "RRuleSchedule",
    "construct_schedule",
    "is_schedule_type",
    "is_valid_timezone",
]
