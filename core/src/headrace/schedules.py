"""Front desk: schedules of deployments."""

from headrace.deploy.schedules import Cron, Interval, RRule, Schedule

__all__ = ["Cron", "Interval", "RRule", "Schedule"]
