"""A stored result: the value, what is known about it, and the document that holds both.

The document is JSON, `{"metadata": {…}, "result": "…"}`, with the metadata first, so that the first bytes of a file tell
whether it is still valid without reading a large value.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast
from uuid import UUID

from headrace.model import clock
from headrace.model.errors import SerializationError

if TYPE_CHECKING:
    from headrace.data.serializers import Serializer

R = TypeVar("R")

HEADER_BYTES = 2048
"""How much of a document is read to find its metadata: these are a few hundred bytes, unless a serializer has many options."""

_NOT_READ = object()


@dataclass(slots=True, eq=False)
class ResultRecordMetadata:
    """What is known about a stored result: where it is, until when it is valid, and what can read it."""

    storage_key: str | None = None
    expiration: datetime | None = None
    serializer_values: dict[str, Any] = field(default_factory=lambda: {"type": "pickle"})
    headrace_version: str | None = None
    storage_block_id: UUID | None = None
    encoding: str | None = None

    @property
    def serializer(self) -> Serializer:
        """The serializer that reads the value. Raises `RuntimeError` when this process knows none of that type."""
        from headrace.data.serializers import serializer_from

        try:
            return serializer_from(self.serializer_values)
        except ValueError as error:
            raise RuntimeError(
                f"The result at {self.storage_key!r} was written with a serializer that cannot be used here: {error} "
                "Import the module that defines it, or install the plugin that offers it, and read again."
            ) from error

    def is_expired(self, now: datetime | None = None) -> bool:
        """Say whether the result is no longer valid."""
        return self.expiration is not None and self.expiration <= (now or clock.now())

    def model_dump(self, mode: str = "json") -> dict[str, Any]:
        """Return the metadata as plain JSON values, as they are stored and sent with a run's state."""
        values: dict[str, Any] = {
            "storage_key": self.storage_key,
            "expiration": None if self.expiration is None else self.expiration.isoformat(),
            "serializer": self.serializer_values,
            "headrace_version": self.headrace_version,
            "storage_block_id": None if self.storage_block_id is None else str(self.storage_block_id),
        }
        if self.encoding is not None:
            values["encoding"] = self.encoding
        return values

    @classmethod
    def model_validate(cls, values: dict[str, Any]) -> Self:
        """Undo `model_dump`. Raises `ValueError` when these are not the metadata of a result."""
        serializer = values.get("serializer")
        if not isinstance(serializer, dict) or "type" not in serializer:
            raise ValueError(f"These are not the metadata of a result, for they name no serializer: {values!r}")
        expiration, block = values.get("expiration"), values.get("storage_block_id")
        return cls(
            storage_key=values.get("storage_key"),
            expiration=None if expiration is None else _aware(datetime.fromisoformat(expiration)),
            serializer_values=cast("dict[str, Any]", serializer),
            headrace_version=values.get("headrace_version"),
            storage_block_id=None if block is None else UUID(block),
            encoding=values.get("encoding"),
        )


def _aware(moment: datetime) -> datetime:
    from datetime import UTC

    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class ResultRecord(Generic[R]):
    """A result and its metadata. A record that was read decodes its value when `result` is first asked for."""

    __slots__ = ("_blob", "_result", "_serializer", "metadata")

    def __init__(self, result: Any = _NOT_READ, metadata: ResultRecordMetadata | None = None, blob: bytes | None = None) -> None:
        self.metadata: ResultRecordMetadata = metadata or ResultRecordMetadata()
        self._result: Any = result
        self._blob = blob
        self._serializer: Serializer | None = None

    @property
    def result(self) -> R:
        """The value. Raises `RuntimeError` for an unknown serializer and `SerializationError` for bytes that it cannot read."""
        if self._result is _NOT_READ:
            serializer = self.metadata.serializer
            try:
                self._result = serializer.loads(self._blob or b"")
            except Exception as error:
                raise SerializationError(
                    f"The result at {self.metadata.storage_key!r} could not be read with serializer {serializer.type!r}: "
                    f"{type(error).__name__}: {error}. Delete it to have it computed anew, or read it with the versions that wrote it."
                ) from error
            self._blob = None
        return self._result

    @property
    def expiration(self) -> datetime | None:
        """Until when the result is valid; None: for ever."""
        return self.metadata.expiration

    @property
    def serializer(self) -> Serializer:
        """What writes and reads the value."""
        return self._serializer or self.metadata.serializer

    def use(self, serializer: Serializer) -> Self:
        """Write the value with `serializer`, and say so in the metadata."""
        self._serializer = serializer
        self.metadata.serializer_values = serializer.stored_values()
        return self

    def serialize_result(self, owner: str = "the result") -> bytes:
        """Return the value as bytes. Raises `SerializationError` that names the value's type and `owner`, as "task 'x'"."""
        if self._blob is not None:
            return self._blob
        serializer = self.serializer
        try:
            return serializer.dumps(self.result)
        except Exception as error:
            raise SerializationError(
                f"The value of {owner}, of type {type(self.result).__name__!r}, could not be serialized with "
                f"{type(serializer).__name__}: {type(error).__name__}: {error}. Return something that can be stored, "
                "choose another `result_serializer`, or set `persist_result=False`."
            ) from error

    def serialize_metadata(self) -> bytes:
        """Return the metadata as a JSON document of their own, for storage apart from the value."""
        return json.dumps(self.metadata.model_dump()).encode()

    def serialize(self, owner: str = "the result") -> bytes:
        """Return the one document that holds metadata and value."""
        blob = self.serialize_result(owner)
        try:
            text = blob.decode()
        except UnicodeDecodeError:
            self.metadata.encoding = "base64"
            text = b64encode(blob).decode()
        return b'{"metadata": ' + self.serialize_metadata() + b', "result": ' + json.dumps(text).encode() + b"}"

    @classmethod
    def deserialize(cls, data: bytes) -> ResultRecord[Any]:
        """Read what `serialize` made. Raises `ValueError` when it is no such document."""
        document = json.loads(data)
        if not isinstance(document, dict) or not {"metadata", "result"} <= document.keys():
            raise ValueError("This is not a stored result: a JSON document with `metadata` and `result` was expected.")
        values = cast("dict[str, Any]", document)
        metadata = ResultRecordMetadata.model_validate(values["metadata"])
        text: str = values["result"]
        blob = b64decode(text) if metadata.encoding == "base64" else text.encode()
        return ResultRecord(metadata=metadata, blob=blob)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResultRecord):
            return False
        theirs = cast("ResultRecord[Any]", other)
        return self.metadata.model_dump() == theirs.metadata.model_dump() and bool(self.result == theirs.result)

    __hash__ = None  # type: ignore[assignment]  # a record changes when its value is read

    def __repr__(self) -> str:
        return f"ResultRecord(storage_key={self.metadata.storage_key!r}, expiration={self.metadata.expiration})"


def metadata_in(start: bytes) -> ResultRecordMetadata | None:
    """Return the metadata found in the first bytes of a document; None when they are not whole or not first."""
    opening = b'{"metadata":'
    if not start.startswith(opening):
        return None
    text = start[len(opening) :].decode(errors="ignore").lstrip()
    try:
        values, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    return ResultRecordMetadata.model_validate(values) if isinstance(values, dict) else None  # pyright: ignore[reportUnknownArgumentType]  # a user's value
