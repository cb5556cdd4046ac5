"""Inputs of flow runs, in the order of `created`, then `id`: writers follow one another."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text

from headrace.store.tables import flow_runs, metadata
from headrace.store.types import Id, Timestamp

flow_run_input = Table(
    "flow_run_input",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("flow_run_id", Id, ForeignKey(flow_runs.flow_run.c.id, ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("sender", Text),
)

Index("uq_flow_run_input__flow_run_id_key", flow_run_input.c.flow_run_id, flow_run_input.c.key, unique=True)
