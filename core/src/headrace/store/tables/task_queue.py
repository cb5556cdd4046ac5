"""Background task runs that wait for a task worker, and the task workers that are connected to servers."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

task_queue = Table(
    "task_queue",
    metadata,
    Column("task_run_id", Id, primary_key=True),
    Column("task_key", Text, nullable=False),
    Column("scheduled", Timestamp, nullable=False),
    Column("available", Timestamp, nullable=False),  # when it may be handed out: `scheduled`, or the end of the claim on it
    Column("claim_id", Id),  # the connection that it was handed to and that has not confirmed it yet, or that holds it until it has ended
    Column("held", Integer, nullable=False),  # how many workers in a row got it to hold until it has ended
    sqlite_with_rowid=False,
)

_c = task_queue.c
Index("ix_task_queue__task_key_available", _c.task_key, _c.available)
Index("ix_task_queue__claim_id", _c.claim_id, sqlite_where=_c.claim_id.is_not(None), postgresql_where=_c.claim_id.is_not(None))

task_worker = Table(
    "task_worker",
    metadata,
    Column("id", Id, primary_key=True),  # the connection
    Column("client_id", Text, nullable=False),
    Column("task_keys", Json, nullable=False),
    Column("seen", Timestamp, nullable=False),  # told by its server from time to time, lest the workers of a dead server stay for ever
    sqlite_with_rowid=False,
)
