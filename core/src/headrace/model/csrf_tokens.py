"""Tokens against forged requests from browsers."""

from __future__ import annotations

from datetime import datetime

from headrace.model.base import Record


class CsrfToken(Record):
    """What a client sends back with each request that changes something, until `expiration`."""

    token: str
    client: str
    expiration: datetime
