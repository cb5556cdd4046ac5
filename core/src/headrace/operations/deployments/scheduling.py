"""Making the coming runs of schedules.

A run is made once for each schedule and time, whoever makes it and however often: its idempotency key names both. Each schedule keeps the
moment at which the scheduler must look at it again (`due`; none after a change), so that a look costs nothing for those that have enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from headrace.model import clock, ids, names
from headrace.model.schedules import CronSchedule, DeploymentSchedule, IntervalSchedule
from headrace.model.states import StateCreate, StateDetails, StateType
from headrace.operations.deployments.deployment_rows import parts, schedules_of
from headrace.operations.runs import transitions
from headrace.operations.upkeep.upkeep import each
from headrace.rules.schedules import coming
from headrace.settings import get_current_settings
from headrace.store.codec import json_in, json_out
from headrace.store.database import Row, Transaction
from headrace.store.statements import runs as statements

MESSAGE = "Flow run scheduled"
TAG = "auto-scheduled"
LOOK_AGAIN = timedelta(days=1)
"""When to look again at a schedule that has fewer coming times than wanted: they may lie too far ahead as yet."""

_OF_DEPLOYMENT = (
    "SELECT d.id, d.flow_id, d.version, d.parameters, d.tags, d.labels, f.labels, d.work_queue_id, q.name, q.work_pool_id, p.name,"
    " d.infrastructure_document_id, d.job_variables, d.paused FROM deployment d JOIN flow f ON f.id = d.flow_id"
    " LEFT JOIN work_queue q ON q.id = d.work_queue_id LEFT JOIN work_pool p ON p.id = q.work_pool_id WHERE d.id = ?"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs a schedule should have: as few as fulfil both minima, none beyond the maxima. `reach` counts from `start`."""

    start: datetime
    reach: timedelta
    end: datetime
    runs_min: int
    runs_max: int


def usual(now: datetime) -> Wanted:
    """Return what the settings of the scheduler want from `now` on."""
    settings = get_current_settings().server.services.scheduler
    return Wanted(now, settings.min_scheduled_time, now + settings.max_scheduled_time, settings.min_runs, settings.max_runs)


def schedule_due_deployments(tx: Transaction, now: datetime, limit: int) -> int:
    """Make the coming runs of at most `limit` deployments whose schedules have too few. Return how many that could be done for."""
    return _schedule_where(tx, "(s.due IS NULL OR s.due <= ?)", [clock.to_us(now)], now, limit)


def schedule_recent_deployments(tx: Transaction, now: datetime, limit: int) -> int:
    """Do the same for deployments that changed since they were last looked at: cheap enough to be asked for every few seconds."""
    return _schedule_where(tx, "s.due IS NULL", [], now, limit)


def _schedule_where(tx: Transaction, due: str, values: list[Any], now: datetime, limit: int) -> int:
    text = (
        "SELECT s.deployment_id, MIN(COALESCE(s.due, 0)) AS first FROM deployment_schedule s JOIN deployment d ON d.id = s.deployment_id"
        f" WHERE s.active AND NOT d.paused AND {due} GROUP BY s.deployment_id ORDER BY first, s.deployment_id LIMIT ?"
    )
    found = [UUID(bytes=key) for key, _ in tx.sql(text, (*values, limit))]

    def schedule(deployment: UUID) -> bool:
        schedule_deployments(tx, [deployment], now)
        return True

    return each(tx, found, schedule)


def schedule_deployments(tx: Transaction, deployments: Sequence[UUID], now: datetime) -> list[UUID]:
    """Make the coming runs of deployments as the settings want them; note when to look again. Return the ids of new runs."""
    keys = [id.bytes for id in deployments]
    tx.lock("deployment", "id", keys)
    made: list[UUID] = []
    wanted = usual(now)
    for part in parts(keys):
        for key, schedules in schedules_of(tx, part).items():
            row = tx.sql_one(_OF_DEPLOYMENT, (key,))
            if row is None or row[-1]:
                continue
            for schedule in schedules:
                if schedule.active:
                    moments = _moments(schedule, wanted)
                    made += _insert(tx, row, schedule, moments, auto_scheduled=True)
                    tx.sql("UPDATE deployment_schedule SET due = ? WHERE id = ?", (clock.to_us(_due(moments, wanted)), schedule.id.bytes))
    if made and tx.caller.is_server:
        tx.publish("runs", [UUID(bytes=key) for key in keys])
    return made


def schedule_runs(tx: Transaction, deployment: UUID, wanted: Wanted, *, auto_scheduled: bool = True) -> list[UUID]:
    """Make runs of the active schedules of one deployment, unless it is paused. Return the ids of those that are new."""
    tx.lock("deployment", "id", [deployment.bytes])
    row = tx.sql_one(_OF_DEPLOYMENT, (deployment.bytes,))
    if row is None or row[-1]:
        return []
    made: list[UUID] = []
    for schedule in schedules_of(tx, [deployment.bytes]).get(deployment.bytes, []):
        if schedule.active:
            made += _insert(tx, row, schedule, _moments(schedule, wanted), auto_scheduled=auto_scheduled)
    if made and tx.caller.is_server:
        tx.publish("runs", [deployment])
    return made


def _moments(schedule: DeploymentSchedule, wanted: Wanted) -> list[datetime]:
    most = wanted.runs_max if schedule.max_scheduled_runs is None else min(wanted.runs_max, schedule.max_scheduled_runs)
    least = wanted.start + wanted.reach
    found: list[datetime] = []
    for moment in islice(coming(schedule.schedule, wanted.start, wanted.end), max(0, most)):
        found.append(moment)
        if len(found) >= wanted.runs_min and moment >= least:
            break
    return found


def _due(moments: Sequence[datetime], wanted: Wanted) -> datetime:
    """Return when fewer than the least runs will be left, or when they will reach less far than they should."""
    again = wanted.start + LOOK_AGAIN
    if not moments:
        return again
    if len(moments) < wanted.runs_min or moments[-1] < wanted.start + wanted.reach:
        return min(moments[0], again)  # as many as there may be, or the last that there are
    left = moments[-wanted.runs_min] if wanted.runs_min > 0 else moments[-1]
    return min(left, moments[-1] - wanted.reach, again)


def _insert(tx: Transaction, deployment: Row, schedule: DeploymentSchedule, moments: Sequence[datetime], *, auto_scheduled: bool) -> list[UUID]:
    (
        deployment_id, flow_id, version, parameters, tags, labels, flow_labels, queue_id, queue, pool_id, pool, infrastructure, job_variables, _,
    ) = deployment  # fmt: skip
    key = f"scheduled {UUID(bytes=deployment_id)} {schedule.id} "
    given = json_in({**(json_out(parameters) or {}), **schedule.parameters} or None)
    all_tags = json_in([*(json_out(tags) or []), TAG])
    all_labels = json_in({**(json_out(flow_labels) or {}), **(json_out(labels) or {})} or None)
    maker = json_in({"id": str(schedule.id), "type": "SCHEDULE", "display_value": schedule.slug or _shown(schedule)})
    now, made = clock.now_us(), list[UUID]()
    for moment in moments:
        run_id, state_id, when = ids.new(), ids.new(), clock.to_us(moment)
        row = (
            run_id.bytes, now, now, flow_id, names.invent(), state_id.bytes, StateType.SCHEDULED.value, "Scheduled", now, 0, when, when, None, None,
            0, given, None, all_tags, all_labels, None, None, None, None, f"{key}{moment.isoformat()}", deployment_id, version, queue_id, queue,
            pool_id, pool, int(auto_scheduled), infrastructure, None, job_variables, maker,
        )  # fmt: skip
        if tx.sql_count(statements.INSERT_FLOW_RUN, row):  # else somebody made it before
            state = StateCreate(
                type=StateType.SCHEDULED, name="Scheduled", message=MESSAGE, state_details=StateDetails(scheduled_time=moment), id=state_id
            )
            transitions.first_state(tx, "flow_run", run_id, state, now)
            made.append(run_id)
    return made


def _shown(schedule: DeploymentSchedule) -> str:
    match schedule.schedule:
        case CronSchedule(cron=cron):
            return cron
        case IntervalSchedule(interval=interval):
            return f"every {interval}"
        case rule:
            return rule.rrule
