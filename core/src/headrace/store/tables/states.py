"""States of runs, in the order of their time. A state row is also the record of the change: no second row tells of it."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp


def _state_table(name: str, run: str) -> Table:
    table = Table(
        name,
        metadata,
        Column("id", Id, primary_key=True),
        Column(run, Id, nullable=False),
        Column("timestamp", Timestamp, nullable=False),
        Column("type", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("message", Text),
        Column("data", Json),  # what the run left: a result's metadata, never the result
        Column("details", Json),  # state_details without what is null, default or the run's own id
        sqlite_with_rowid=False,
    )
    Index(f"ix_{name}__{run}", table.c[run], table.c.timestamp)
    return table


flow_run_state = _state_table("flow_run_state", "flow_run_id")
task_run_state = _state_table("task_run_state", "task_run_id")
