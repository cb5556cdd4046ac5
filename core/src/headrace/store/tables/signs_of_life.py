"""When processes that run flows, flow runs of foreign clients, and the API itself were last heard of."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Timestamp

sign_of_life = Table(
    "sign_of_life",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),  # owner: a process; flow_run; api: the one row of those who answer requests
    Column("since", Timestamp, nullable=False),  # heard of without a gap since then
    Column("seen", Timestamp, nullable=False),
    Column("pace", BigInteger),  # of a flow_run: microseconds between its last two signs
    sqlite_with_rowid=False,
)

Index("ix_sign_of_life__kind_seen", sign_of_life.c.kind, sign_of_life.c.seen)
