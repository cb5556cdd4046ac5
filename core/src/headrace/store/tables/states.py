"""States of runs. A state row is also the record of the change: no second row tells of it."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

flow_run_state = Table(
    "flow_run_state",
    metadata,
    Column("id", Id, primary_key=True),
    Column("flow_run_id", Id, nullable=False),
    Column("timestamp", Timestamp, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("message", Text),
    Column("data", Json),  # what the run left: a result's metadata, never the result
    Column("details", Json),  # state_details without what is null, default or the run's own id
    sqlite_with_rowid=False,
)

Index("ix_flow_run_state__flow_run_id", flow_run_state.c.flow_run_id, flow_run_state.c.timestamp)

task_run_state = Table(
    "task_run_state",
    metadata,
    # The states of a run lie together and need no second index, which would be a quarter of the space that a task takes. A state asked for
    # by its id alone is looked for backwards from the time that its id tells.
    Column("task_run_id", Id, primary_key=True),
    Column("id", Id, primary_key=True),
    Column("timestamp", Timestamp, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("message", Text),
    Column("data", Json),
    Column("details", Json),
    sqlite_with_rowid=False,
)
