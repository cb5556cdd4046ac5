"""Column types: one meaning, stored as suits each database. `codec.py` says the same for text statements."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary, Text, Uuid
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from headrace.store import codec


class Id(TypeDecorator[UUID]):
    """An id: 16 bytes on SQLite, `uuid` on PostgreSQL."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(LargeBinary(16) if dialect.name == "sqlite" else Uuid())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return codec.id_in(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return codec.id_out(value) if dialect.name == "sqlite" else value


class Timestamp(TypeDecorator[datetime]):
    """A time, aware and in UTC: integer microseconds since 1970 on both databases, so that text statements carry the same values."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return codec.time_in(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return codec.time_out(value)


class Json(TypeDecorator[Any]):
    """Anything that JSON can hold: text on SQLite, `json` (which keeps the order of keys) on PostgreSQL. None is stored as NULL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        from sqlalchemy.dialects.postgresql import JSON

        return dialect.type_descriptor(JSON(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return codec.json_in(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return codec.json_out(value) if dialect.name == "sqlite" else value
