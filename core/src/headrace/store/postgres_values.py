"""Storage values on the wire to PostgreSQL and back: 16-byte ids as `uuid`, JSON text as `json`, everything else as the column wants it.

Values are sent without a type, so that the server takes the column's; one text is then one prepared statement whatever its values are.
"""

from __future__ import annotations

from typing import Any

from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types.numeric import NumericBinaryLoader


class _IdDumper(Dumper):
    """16 bytes: what `uuid` is in PostgreSQL's binary format."""

    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return obj


class _TextDumper(Dumper):
    """Text. PostgreSQL cannot hold the character NUL, so it becomes the replacement character."""

    def dump(self, obj: Any) -> bytes:
        encoded: bytes = obj.encode()
        return encoded.replace(b"\0", b"\xef\xbf\xbd") if b"\0" in encoded else encoded


class _NumberDumper(Dumper):
    """Whole numbers and truth values: 1 and 0 are true and false to a boolean column."""

    def dump(self, obj: Any) -> bytes:
        return b"%d" % obj


class _IdLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class _JsonLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _SumLoader(NumericBinaryLoader):
    """Sums and averages of whole numbers, which PostgreSQL widens, as Python's numbers."""

    def load(self, data: Buffer) -> Any:
        value = super().load(data)
        return int(value) if value == value.to_integral_value() else float(value)


def register(context: AdaptContext) -> None:
    """Let a connection speak storage values."""
    adapters = context.adapters
    adapters.register_dumper(bytes, _IdDumper)
    adapters.register_dumper(str, _TextDumper)
    adapters.register_dumper(int, _NumberDumper)
    adapters.register_dumper(bool, _NumberDumper)
    adapters.register_loader("uuid", _IdLoader)
    adapters.register_loader("json", _JsonLoader)
    adapters.register_loader("numeric", _SumLoader)
