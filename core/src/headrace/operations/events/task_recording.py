"""Task runs that foreign clients decide on themselves: their events are turned into rows, in the transaction that stores the events.

Events may come twice, late and in any order: each state is stored once, and the run's row tells of the newest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from headrace.model.events import Event
from headrace.model.task_run_events import EVENT_PREFIX, ORCHESTRATION, TaskRunTold
from headrace.operations.runs.encoding import details_in, own
from headrace.store.codec import json_in, microseconds, time_in
from headrace.store.database import Transaction
from headrace.store.statements import runs as statements

logger = logging.getLogger("headrace.events")

RUNS_A_QUERY = 100

_Key = tuple[bytes, str, str]
"""What a task run is known by within its flow run: that run's id, task key, dynamic key."""


def record_task_runs(tx: Transaction, events: Iterable[Event], now: int) -> None:
    """Record what new events tell of task runs. An event that tells nothing sensible is left alone, with a warning."""
    told: list[tuple[Event, bytes, bytes | None, TaskRunTold]] = []
    for event in events:
        if not event.event.startswith(EVENT_PREFIX) or event.resource.root.get(ORCHESTRATION) != "client":
            continue
        try:
            run_id = event.resource.prefect_object_id("prefect.task-run").bytes
            told.append((event, run_id, _flow_run_of(event), TaskRunTold.model_validate(event.payload)))
        except (ValidationError, ValueError) as error:
            logger.warning("The event %s (%s) tells of no task run that can be recorded: %s", event.id, event.event, error)
    if not told:
        return
    known_as = _known_otherwise(tx, told)
    runs: dict[bytes, tuple[Any, ...]] = {}
    states: list[tuple[Any, ...]] = []
    for event, given_id, flow_run_id, what in told:
        run_id = known_as.get(given_id, given_id)
        row = _run_row(run_id, flow_run_id, event, what, now)
        newest = runs.get(run_id)
        if newest is None or newest[_TIMESTAMP] <= row[_TIMESTAMP]:
            runs[run_id] = row
        state = what.validated_state
        states.append(
            (
                event.id.bytes,
                run_id,
                row[_TIMESTAMP],
                state.type.value,
                state.name,
                state.message or None,
                json_in(state.data),
                details_in(state.state_details),
            )
        )
    # rows are locked in one order, so that two recorders never wait for each other
    tx.sql_many(statements.RECORD_TASK_RUN, [runs[key] for key in sorted(runs)])
    tx.sql_many(statements.RECORD_TASK_RUN_STATE, sorted(states, key=lambda state: state[:2]))


_TIMESTAMP = statements.TASK_RUN_COLUMNS.index("state_timestamp")


def _flow_run_of(event: Event) -> bytes | None:
    return next((one.prefect_object_id("prefect.flow-run").bytes for one in event.related if one.role == "flow-run"), None)


def _run_row(run_id: bytes, flow_run_id: bytes | None, event: Event, told: TaskRunTold, now: int) -> tuple[Any, ...]:
    run, state = told.task_run, told.validated_state
    occurred = microseconds(event.occurred)
    inputs = {name: [source.model_dump(mode="json") for source in sources] for name, sources in run.task_inputs.items()}
    return (
        run_id,
        occurred,
        now,
        flow_run_id,
        run.name,
        run.task_key,
        run.dynamic_key,
        event.id.bytes,
        state.type.value,
        state.name,
        occurred,
        run.run_count,
        run.flow_run_run_count,
        time_in(run.expected_start_time),
        time_in(run.next_scheduled_start_time),
        time_in(run.start_time),
        time_in(run.end_time),
        round(run.total_run_time.total_seconds() * 1_000_000),
        json_in(run.tags or None),
        json_in(run.labels or None),
        json_in(inputs or None),
        own(run.empirical_policy),
        run.cache_key,
        time_in(run.cache_expiration),
        run.task_version,
    )


def _known_otherwise(tx: Transaction, told: Sequence[tuple[Event, bytes, bytes | None, TaskRunTold]]) -> dict[bytes, bytes]:
    """Return, by the id that events give it, the id of each run that is stored under another: a run is one by its keys too."""
    keys: dict[bytes, _Key] = {
        run_id: (flow_run_id, what.task_run.task_key, what.task_run.dynamic_key) for _, run_id, flow_run_id, what in told if flow_run_id is not None
    }
    stored: dict[_Key, bytes] = {}
    wanted = list(dict.fromkeys(keys.values()))
    for start in range(0, len(wanted), RUNS_A_QUERY):
        some = wanted[start : start + RUNS_A_QUERY]
        is_one = " OR ".join(["flow_run_id = ? AND task_key = ? AND dynamic_key = ?"] * len(some))
        found = tx.sql(
            f"SELECT flow_run_id, task_key, dynamic_key, id FROM task_run WHERE {is_one}",
            [value for key in some for value in key],
        )
        stored.update(((flow_run_id, task_key, dynamic_key), id) for flow_run_id, task_key, dynamic_key, id in found)
    for run_id, key in keys.items():
        stored.setdefault(key, run_id)
    return {run_id: stored[key] for run_id, key in keys.items()}
