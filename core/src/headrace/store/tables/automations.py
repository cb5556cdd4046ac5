"""Automations, and which resources each names or belongs to."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Json, Timestamp

automation = Table(
    "automation",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("tags", Json),  # NULL: none
    Column("body", Json, nullable=False),  # description, trigger and the three lists of actions
)

Index("ix_automation__name", automation.c.name)

automation_related_resource = Table(
    "automation_related_resource",
    metadata,
    Column("automation_id", Id, ForeignKey(automation.c.id, ondelete="CASCADE"), primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("is_owner", Boolean, nullable=False),
)

Index("ix_automation_related_resource__resource_id", automation_related_resource.c.resource_id)
