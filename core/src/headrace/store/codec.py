"""Values in storage form, for statements that go to the driver as text. `types.py` says the same to SQLAlchemy.

SQLite holds ids as 16 bytes, times as integer microseconds since 1970 in UTC, objects and lists as JSON text, durations as microseconds.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _plain(value: Any) -> Any:
    """Say in JSON what JSON has no word for."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, set | frozenset):
        return sorted(cast("set[Any]", value), key=str)
    return str(value)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode
_decode = json.JSONDecoder().decode


def microseconds(value: datetime) -> int:
    """Return whole microseconds since 1970. A time without zone is taken as UTC."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return (value - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """Return the time that `microseconds` wrote: aware, in UTC."""
    return _EPOCH + timedelta(microseconds=value)


def time_in(value: datetime | None) -> int | None:
    """Store a time, or nothing."""
    return None if value is None else microseconds(value)


def time_out(value: int | None) -> datetime | None:
    """Read a time, or nothing."""
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def id_in(value: UUID | None) -> bytes | None:
    """Store an id, or nothing."""
    return None if value is None else value.bytes


def id_out(value: bytes | None) -> UUID | None:
    """Read an id, or nothing."""
    return None if value is None else UUID(bytes=value)


def json_in(value: Any) -> str | None:
    """Store anything that JSON can hold (times, ids and other objects as their text), or nothing for None."""
    return None if value is None else _encode(value)


def json_out(value: str | None) -> Any:
    """Read JSON, or nothing."""
    return None if value is None else _decode(value)
