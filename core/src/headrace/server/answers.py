"""Answers as they are sent, and errors as the shapes that clients know."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from headrace.model.errors import (
    InvalidNameError,
    InvalidRequest,
    InvalidTemplate,
    LeaseGone,
    ObjectAlreadyExists,
    ObjectNotFound,
    ObjectUnsupported,
    ProtectedBlockError,
    SlotsUnavailable,
    StoreConflict,
    StoreError,
)

JSON = b"application/json"
REASON_BYTES_MAX = 1_000
Headers = tuple[tuple[bytes, bytes], ...]

logger = logging.getLogger("headrace.server")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body (whole, or in parts as they come) and its type; `headers` beyond those."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    media_type: bytes = JSON
    headers: Headers = ()


def as_json(value: Any, status: int = 200, headers: Headers = ()) -> Answer:
    """Answer with plain values."""
    return Answer(status, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), JSON, headers)


def detail(status: int, text: str, headers: Headers = ()) -> Answer:
    """Answer with the shape of errors that a route raises."""
    return as_json({"detail": text}, status, headers)


def message(status: int, text: str, headers: Headers = ()) -> Answer:
    """Answer with the shape of errors that come from below the routes."""
    return as_json({"exception_message": text}, status, headers)


NOT_FOUND = detail(404, "Not Found")
UNAUTHORIZED = message(401, "Unauthorized")
UNAVAILABLE = message(503, "Service Unavailable", ((b"retry-after", b"1"),))
CONFLICT = detail(409, "Data integrity conflict. This usually means that a unique or foreign key constraint was violated.")


def invalid(errors: list[dict[str, Any]], body: Any, *, is_secret: bool) -> Answer:
    """Answer that a request does not fit its schema. Where it may hold secrets, nothing of it is sent back."""
    told = [{key: value for key, value in error.items() if key != "input"} if is_secret else error for error in errors]
    return as_json(
        {
            "exception_message": "Invalid request received.",
            "exception_detail": to_jsonable_python(told, fallback=lambda _: {}, inf_nan_mode="null"),
            "request_body": None if is_secret else to_jsonable_python(body, inf_nan_mode="null"),
        },
        422,
    )


def errors_of(error: ValidationError, place: str) -> list[dict[str, Any]]:
    """Return what pydantic found, as seen from the request: `place` is "body", "query" or "path"."""
    return [{**one, "loc": (place, *one["loc"])} for one in cast("list[dict[str, Any]]", error.errors(include_url=False))]


def of_error(error: BaseException, *, missing_is_message: bool = False) -> Answer:
    """Answer for what an operation raised. An error that is nobody's fault but ours is logged and not told."""
    match error:
        case ObjectNotFound():
            return message(404, str(error)) if missing_is_message else _missing(str(error))
        case ObjectAlreadyExists():
            return detail(409, str(error))
        case SlotsUnavailable():
            return detail(423, str(error), ((b"retry-after", str(error.retry_after).encode()),))
        case LeaseGone():
            return detail(410, str(error))
        case ProtectedBlockError():
            return detail(403, str(error))
        case InvalidTemplate():
            return as_json({"error": {"line": error.line, "message": str(error), "source": error.source}}, error.status)
        case InvalidRequest():
            return detail(error.status, str(error))
        case ObjectUnsupported():
            return detail(404, str(error))
        case ValidationError():  # what the request made an operation build does not fit
            return detail(422, "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)))
        case InvalidNameError():
            return detail(422, str(error))
        case OverflowError():
            return detail(422, "A number or a time in the request is beyond the range that can be stored.")
        case UnicodeEncodeError() | PydanticSerializationError():
            return detail(422, "A text in the request is not valid Unicode, so it cannot be stored.")
        case StoreConflict():  # somebody else wrote it first
            return CONFLICT
        case StoreError():
            logger.error("%s", error)
            return UNAVAILABLE
        case _ if is_conflict(error):
            return CONFLICT
        case _:
            logger.error("A request failed: %s", type(error).__name__, exc_info=error)
            return message(500, "Internal Server Error")


def _missing(text: str) -> Answer:
    """Answer with the words that clients know ("Flow not found"); which one was meant, and what is near, goes into a header."""
    what, is_missing, why = text.partition(" not found: ")
    if not is_missing:
        return detail(404, text)
    printable = "".join(letter if letter.isprintable() else " " for letter in why)
    return detail(404, f"{what} not found", ((b"x-headrace-reason", printable.encode("ascii", "backslashreplace")[:REASON_BYTES_MAX]),))


def is_conflict(error: BaseException) -> bool:
    """Say whether the database refused a row that contradicts another: the drivers' classes share their name."""
    return any(cls.__name__ == "IntegrityError" for cls in type(error).__mro__)
