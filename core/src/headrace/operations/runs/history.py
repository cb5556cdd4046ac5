"""Runs counted by state in intervals of the time they were expected to start."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from headrace.model import clock
from headrace.model.errors import InvalidRequest
from headrace.model.run_queries import HistoryQuery, HistoryResponse, HistoryResponseState
from headrace.model.states import StateType
from headrace.operations.conditions import Conditions
from headrace.operations.runs.encoding import lateness_sql, run_time_sql
from headrace.store.codec import microseconds, moment
from headrace.store.database import Transaction

INTERVALS_MAX = 500


def history(tx: Transaction, table: Literal["flow_run", "task_run"], body: HistoryQuery, where: Conditions) -> list[HistoryResponse]:
    """Return every interval between start and end, the last cut short by neither. `where` is about the alias `r`."""
    length = body.history_interval_seconds // timedelta(microseconds=1)
    if length < 1_000_000:
        raise InvalidRequest("History interval must not be less than 1 second.")
    start, end = microseconds(body.history_start), microseconds(body.history_end)
    count = max(0, -(-(end - start) // length))
    if count > INTERVALS_MAX:
        raise InvalidRequest(
            f"{count} intervals are too many: ask for at most {INTERVALS_MAX}, with longer intervals or times that lie closer together."
        )
    now = clock.now_us()
    states: list[list[HistoryResponseState]] = [[] for _ in range(count)]
    found = tx.sql(
        f"SELECT (r.expected_start_time - ?) / ? AS n, r.state_type, r.state_name, COUNT(*), SUM({run_time_sql('r', now)}),"
        f" SUM({lateness_sql('r', now)}) FROM {table} r WHERE r.expected_start_time >= ? AND r.expected_start_time < ?"
        f" AND r.state_type IS NOT NULL AND {where.joined()} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        (start, length, start, end, *where.values),
    )
    for n, kind, name, runs, run_time, late in found:
        states[int(n)].append(
            HistoryResponseState.model_construct(
                state_type=StateType(kind),
                state_name=name,
                count_runs=runs,
                sum_estimated_run_time=timedelta(microseconds=run_time),
                sum_estimated_lateness=timedelta(microseconds=late),
            )
        )
    return [
        HistoryResponse.model_construct(interval_start=moment(start + n * length), interval_end=moment(start + (n + 1) * length), states=states[n])
        for n in range(count)
    ]
