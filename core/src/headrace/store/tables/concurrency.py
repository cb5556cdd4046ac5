"""Concurrency limits, the leases on them, and what each lease holds. Occupancy is counted from the leases, never kept."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Timestamp

concurrency_limit = Table(
    "concurrency_limit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("limit", Integer, nullable=False),
    Column("denied_slots", Integer, nullable=False),
    Column("slot_decay_per_second", Float, nullable=False),
    Column("avg_slot_occupancy_seconds", Float, nullable=False),
    Column("drained_at", Timestamp),  # of a decaying limit: when the slots taken so far will all have decayed
)

Index("uq_concurrency_limit__name", concurrency_limit.c.name, unique=True)

concurrency_lease = Table(
    "concurrency_lease",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("expires", Timestamp),  # none: held until it is given back
    Column("holder_type", Text),  # flow_run, task_run, deployment; none: an unnamed holder
    Column("holder_id", Id),
)

Index("ix_concurrency_lease__holder_id", concurrency_lease.c.holder_id, sqlite_where=concurrency_lease.c.holder_id.is_not(None))
Index("ix_concurrency_lease__expires", concurrency_lease.c.expires, sqlite_where=concurrency_lease.c.expires.is_not(None))

concurrency_slot = Table(
    "concurrency_slot",
    metadata,
    Column("limit_id", Id, ForeignKey(concurrency_limit.c.id, ondelete="CASCADE"), primary_key=True),
    Column("lease_id", Id, ForeignKey(concurrency_lease.c.id, ondelete="CASCADE"), primary_key=True),
    Column("slots", Integer, nullable=False),
    sqlite_with_rowid=False,
)

Index("ix_concurrency_slot__lease_id", concurrency_slot.c.lease_id)
