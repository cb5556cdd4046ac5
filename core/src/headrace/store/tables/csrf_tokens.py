"""Tokens that browsers must send back."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from headrace.store.tables import metadata
from headrace.store.types import Id, Timestamp

csrf_token = Table(
    "csrf_token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created", Timestamp, nullable=False),
    Column("updated", Timestamp, nullable=False),
    Column("client", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("expiration", Timestamp, nullable=False),
)

Index("uq_csrf_token__client", csrf_token.c.client, unique=True)
Index("ix_csrf_token__expiration", csrf_token.c.expiration)
